import type { Message } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { SmilePlus } from "lucide-react";
import { Tooltip } from "radix-ui";
import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { EmojiPicker } from "./EmojiPicker.tsx";
import { useChat } from "./view.ts";

/** What people put to a message, how many, and whether one has oneself. */
export function Reactions({ message }: { message: Message }) {
  const { t } = useTranslation();
  const { room, myId, act, mayWrite } = useChat();
  const kinds = Object.entries(message.reactions ?? {});
  const mine = room.marks.reactions(message.id);
  useEffect(() => room.marks.look(message, myId), [room, message, myId]);
  if (kinds.length === 0) return null;
  return (
    <ul aria-label={t("chat.reactions.list")} className="mt-1 flex flex-wrap gap-1">
      {kinds.map(([emoji, count]) => (
        <li key={emoji}>
          <Reactors message={message} emoji={emoji} count={count}>
            <button
              type="button"
              disabled={!mayWrite}
              aria-pressed={mine.has(emoji)}
              aria-label={t("chat.reactions.of", { emoji, count })}
              onClick={() => void act(() => room.acts.react(message.id, emoji))}
              className={`inline-flex h-7 items-center gap-1 rounded-full border px-2 text-sm tabular-nums motion-safe:transition-colors pointer-coarse:h-9 ${
                mine.has(emoji)
                  ? "border-accent bg-tint font-semibold text-accent"
                  : "border-line bg-surface text-soft hover:border-accent hover:text-ink"
              }`}
              data-testid="reaction"
              data-emoji={emoji}
            >
              <span className="text-base leading-none">{emoji}</span>
              {count}
            </button>
          </Reactors>
        </li>
      ))}
      {mayWrite ? (
        <li>
          <EmojiPicker
            label={t("chat.react")}
            onPick={(emoji) => void act(() => room.acts.react(message.id, emoji, true))}
          >
            <button
              type="button"
              aria-label={t("chat.react")}
              className="inline-flex h-7 items-center rounded-full border border-line bg-surface px-2 text-soft hover:border-accent hover:text-ink pointer-coarse:h-9"
            >
              <SmilePlus aria-hidden className="size-4" />
            </button>
          </EmojiPicker>
        </li>
      ) : null}
    </ul>
  );
}

/** Names those who reacted so, once somebody points there. */
function Reactors({
  message,
  emoji,
  count,
  children,
}: {
  message: Message;
  emoji: string;
  count: number;
  children: ReactNode;
}) {
  const { room } = useChat();
  const [open, setOpen] = useState(false);
  const { data } = useQuery({
    queryKey: ["reactors", message.id, emoji, count],
    queryFn: () => room.archive.reactors(message.id, emoji),
    enabled: open,
    staleTime: 60_000,
  });
  const names = (data ?? []).slice(0, 12).map(({ nickname }) => nickname);
  return (
    <Tooltip.Root open={open} onOpenChange={setOpen}>
      <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
      {names.length > 0 ? (
        <Tooltip.Portal>
          <Tooltip.Content
            sideOffset={6}
            className="z-50 max-w-64 rounded-lg bg-ink px-2 py-1 text-sm text-ground"
          >
            {names.join(", ")}
            {count > names.length ? " …" : ""}
          </Tooltip.Content>
        </Tooltip.Portal>
      ) : null}
    </Tooltip.Root>
  );
}
