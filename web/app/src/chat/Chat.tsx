import type { Entry, Room } from "@parlor/sdk";
import { ArrowDown, SendHorizontal } from "lucide-react";
import {
  type FormEvent,
  type KeyboardEvent,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { useTranslation } from "react-i18next";
import { useRoom } from "../call/hooks.ts";
import { keepsOrder } from "../call/rights.ts";
import { sentence } from "../errors.ts";
import { type ReportTarget, useSafety } from "../safety/Safety.tsx";
import { Alert, Button, IconButton } from "../ui.tsx";
import { MessageItem } from "./MessageItem.tsx";

/** The server's limits for a message, in Unicode scalars: in a call, and between strangers. */
const LONGEST = 4_000;
const LONGEST_MATCH = 1_000;
/** Closer to the end than this, in CSS pixels, the log follows new messages. */
const AT_END = 48;

export function Chat({ room }: { room: Room }) {
  const { t } = useTranslation();
  const { report } = useSafety();
  const { messages, hasOlder, typing, role, info } = useRoom(room);
  const [problem, setProblem] = useState<string | null>(null);
  const log = useLog(messages.at(-1)?.key);
  const act = async (work: () => Promise<void>) => {
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(sentence(error));
    }
  };

  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      <div
        ref={log.ref}
        role="log"
        aria-label={t("chat.log")}
        aria-live="polite"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and must do so by keyboard too.
        tabIndex={0}
        onScroll={log.onScroll}
        className="min-h-0 flex-1 overflow-y-auto px-3 py-2 -outline-offset-3"
        data-testid="log"
      >
        {hasOlder ? <Older onClick={() => void act(() => log.hold(() => room.pages.older()))} /> : null}
        {messages.length === 0 ? <p className="py-8 text-center text-soft">{t("chat.empty")}</p> : null}
        <ol>
          {messages.map((entry, index) => (
            <MessageItem
              key={entry.key}
              entry={entry}
              first={startsGroup(entry, messages[index - 1])}
              mine={entry.message.sender.id === room.me?.id}
              mayDelete={keepsOrder(role, room.me?.role ?? "member")}
              onEdit={(text) => act(() => room.acts.edit(entry.message.id, text))}
              onDelete={() => act(() => room.acts.delete(entry.message.id))}
              onReport={() => report(aboutMessage(entry))}
              onRetry={() => room.retry(entry.message.clientId)}
              onDiscard={() => room.discard(entry.message.clientId)}
            />
          ))}
        </ol>
      </div>
      {log.behind ? <Newest onClick={log.toEnd} /> : null}
      <p aria-live="polite" className="h-6 shrink-0 truncate px-4 text-sm text-soft">
        {typing.length > 0 ? t("chat.typing", { count: typing.length, names: typing.join(", ") }) : ""}
      </p>
      {problem ? (
        <div className="px-3 pb-2">
          <Alert>{problem}</Alert>
        </div>
      ) : null}
      <Composer
        longest={info?.kind === "match" ? LONGEST_MATCH : LONGEST}
        onTyping={() => room.typing()}
        onSend={(text) => room.send(text)}
      />
    </div>
  );
}

function aboutMessage({ message: { id, roomId, sender } }: Entry): ReportTarget {
  return { userId: sender.id, nickname: sender.nickname, roomId, messageId: id };
}

/** A log follows new messages while it is at its end, and stays where it is while somebody reads further up. */
function useLog(last: string | undefined) {
  const ref = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const [behind, setBehind] = useState(false);

  const toEnd = useCallback(() => {
    const element = ref.current;
    if (element) element.scrollTop = element.scrollHeight;
  }, []);

  useLayoutEffect(() => {
    if (following.current) toEnd();
    else if (last) setBehind(true);
  }, [last, toEnd]);

  const onScroll = () => {
    const element = ref.current;
    if (!element) return;
    following.current = element.scrollHeight - element.scrollTop - element.clientHeight < AT_END;
    if (following.current) setBehind(false);
  };

  /** Adds to the top, and keeps what is read in its place. */
  const hold = async (work: () => Promise<void>) => {
    const element = ref.current;
    const below = element ? element.scrollHeight - element.scrollTop : 0;
    following.current = false;
    await work();
    requestAnimationFrame(() => element?.scrollTo({ top: element.scrollHeight - below }));
  };

  return { ref, behind, toEnd, onScroll, hold };
}

function Older({ onClick }: { onClick: () => void }) {
  const { t } = useTranslation();
  return (
    <Button tone="quiet" className="w-full text-accent!" onClick={onClick} data-testid="older">
      {t("chat.older")}
    </Button>
  );
}

function Newest({ onClick }: { onClick: () => void }) {
  const { t } = useTranslation();
  return (
    <Button
      tone="plain"
      className="absolute bottom-24 left-1/2 -translate-x-1/2 rounded-full shadow-lg"
      onClick={onClick}
      data-testid="newest"
    >
      <ArrowDown aria-hidden className="size-4" />
      {t("chat.newest")}
    </Button>
  );
}

interface ComposerProps {
  longest: number;
  onTyping: () => void;
  onSend: (text: string) => void;
}

function Composer({ longest, onTyping, onSend }: ComposerProps) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const over = [...text.normalize("NFC")].length - longest;
  const field = useRef<HTMLTextAreaElement>(null);

  // The field grows with its text, up to some lines.
  useEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    if (text) element.style.height = `${element.scrollHeight + 2}px`;
  }, [text]);

  const submit = (event?: FormEvent) => {
    event?.preventDefault();
    if (!text.trim() || over > 0) return;
    onSend(text.trim());
    setText("");
    field.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    submit();
  };

  return (
    <form onSubmit={submit} className="shrink-0 px-3 pb-3">
      {over > 0 ? (
        <p role="status" className="pb-1 text-sm text-danger-ink">
          {t("chat.tooLong", { count: over })}
        </p>
      ) : null}
      <div className="flex items-end gap-2">
        <textarea
          ref={field}
          rows={1}
          aria-label={t("chat.write")}
          placeholder={t("chat.write")}
          className="field max-h-32 resize-none"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            if (event.target.value) onTyping();
          }}
          onKeyDown={onKeyDown}
          data-testid="message-text"
        />
        <IconButton
          type="submit"
          tone="accent"
          label={t("chat.send")}
          disabled={!text.trim() || over > 0}
          data-testid="send"
        >
          <SendHorizontal aria-hidden className="size-5" />
        </IconButton>
      </div>
    </form>
  );
}

/** Messages of one author within five minutes stand under one name. */
function startsGroup(entry: Entry, before: Entry | undefined): boolean {
  if (!before || before.message.sender.id !== entry.message.sender.id) return true;
  return Date.parse(entry.message.createdAt) - Date.parse(before.message.createdAt) > 5 * 60_000;
}
