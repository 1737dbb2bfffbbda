import { type Message, ParlorError, type Room } from "@parlor/sdk";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Forward, Reply } from "lucide-react";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useChat } from "./view.ts";

/** What a message answers: a line of it, and the way there. */
export function Quote({ messageId }: { messageId: string }) {
  const { t } = useTranslation();
  const { room, jump, blocked } = useChat();
  const loaded = room.message(messageId);
  const { data, error } = useQuery({
    queryKey: ["message", room.id, messageId],
    queryFn: () => room.archive.message(messageId),
    enabled: !loaded,
    staleTime: 60_000,
    retry: (count, problem) => !(problem instanceof ParlorError) && count < 2,
  });
  const message = loaded ?? data;
  const isHidden = message && blocked.has(message.sender.id);
  if (!message || message.deleted) {
    return (
      <p className="flex h-6 items-center gap-1.5 text-sm text-soft italic" data-testid="quote">
        <Reply aria-hidden className="size-4 shrink-0 -scale-x-100" />
        {message?.deleted || error ? t("chat.quoteGone") : t("common.loading")}
      </p>
    );
  }
  return (
    <button
      type="button"
      aria-label={t("chat.jumpTo", { name: message.sender.nickname })}
      onClick={() => jump(messageId)}
      className="flex h-6 max-w-full items-center gap-1.5 text-left text-sm text-soft hover:text-ink"
      data-testid="quote"
    >
      <Reply aria-hidden className="size-4 shrink-0 -scale-x-100" />
      <span className="shrink-0 font-semibold">{message.sender.nickname}</span>
      <span className="truncate">
        {isHidden ? t("chat.blockedMessage") : brief(message, t("chat.quoteFile"))}
      </span>
    </button>
  );
}

/** What is quoted and not loaded follows what happens to it. */
export function useChanges(room: Room): void {
  const queries = useQueryClient();
  useEffect(() => {
    const change = (id: string, to: (before: Message) => Message) =>
      queries.setQueryData<Message>(["message", room.id, id], (before) => before && to(before));
    return room.on("event", (frame) => {
      if (frame.type === "message_edited") change(frame.data.message.id, () => frame.data.message);
      if (frame.type === "message_deleted")
        change(frame.data.messageId, (before) => ({ ...before, content: { text: "" }, deleted: true }));
    });
  }, [room, queries]);
}

/** A message in a line; `fallback` where it has no words at all. */
export function brief({ content }: Message, fallback: string): string {
  return content.poll?.question || content.text || content.attachments?.[0]?.name || fallback;
}

/** Whose words they were first. */
export function ForwardedFrom({ message }: { message: Message }) {
  const { t } = useTranslation();
  const from = message.content.forwardedFrom;
  if (!from) return null;
  return (
    <p className="flex items-center gap-1.5 text-sm text-soft" data-testid="forwarded">
      <Forward aria-hidden className="size-4 shrink-0" />
      {t("chat.forwarded", { name: from.sender.nickname })}
    </p>
  );
}
