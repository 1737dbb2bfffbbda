import type { Message, Room, Writing } from "@parlor/sdk";
import { SendHorizontal, Smile, X } from "lucide-react";
import {
  type ClipboardEvent,
  type FormEvent,
  type KeyboardEvent,
  type Ref,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { useTranslation } from "react-i18next";
import { IconButton } from "../ui.tsx";
import { type AddedKind, AddMenu, SPANS, type Span } from "./AddMenu.tsx";
import { Completion, useCompletion } from "./Completion.tsx";
import { EmojiPicker } from "./EmojiPicker.tsx";
import { type Chosen, FILES, useUploads } from "./files.ts";
import { mentionsOf } from "./mentions.ts";
import { PollDialog } from "./PollDialog.tsx";
import { brief } from "./Quote.tsx";
import { UploadList } from "./UploadList.tsx";
import { useChat } from "./view.ts";

/** The server's limits for a message, in Unicode scalars. */
const LONGEST = { match: 1_000, live: 1_000, broadcast: 10_000 } as Readonly<Record<string, number>>;
const LONGEST_ELSEWHERE = 4_000;

/** What others may do to a field that is being written in. */
export interface ComposerHandle {
  focus: () => void;
  write: (text: string) => void;
  attach: (files: readonly File[]) => void;
}

interface ComposerProps {
  ref?: Ref<ComposerHandle>;
  placeholder: string;
  threadId?: string | null;
  replyTo?: Message | null;
  onReplied?: () => void;
  /** Somebody wants to change what they wrote last. */
  onEditLast?: () => void;
  onSent?: () => void;
}

/** Where one writes: text, files, polls, and how long it stays. */
export function Composer(props: ComposerProps) {
  const { placeholder, threadId = null, replyTo = null, onReplied, onEditLast, onSent } = props;
  const { t } = useTranslation();
  const { room, snapshot, takesFiles } = useChat();
  const [text, setText] = useDraft(room, threadId);
  const [span, setSpan] = useState<Span | null>(null);
  const [asking, setAsking] = useState(false);
  const [note, setNote] = useState<string | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const going = useRef(Promise.resolve());
  const uploads = useUploads();
  const completion = useCompletion(field, text, setText);
  const kind = snapshot.info?.kind ?? "";
  const over = [...text.normalize("NFC")].length - (LONGEST[kind] ?? LONGEST_ELSEWHERE);
  const isReady = uploads.chosen.every(({ snapshot: { state } }) => state === "ready");
  const canSend = (text.trim() !== "" || uploads.chosen.length > 0) && over <= 0 && isReady;

  const attach = (files: readonly File[]) => {
    if (!takesFiles) return setNote(t("chat.files.none"));
    const left = uploads.add(files);
    setNote(left > 0 ? t("chat.files.tooMany", { count: FILES }) : null);
  };
  useImperativeHandle(props.ref, () => ({
    focus: () => field.current?.focus(),
    write: (words) => {
      setText(words);
      field.current?.focus();
    },
    attach,
  }));
  useGrowth(field, text);

  /** Says it, if there is a place for it; what it answers is chosen anew for the next one. */
  const say = (writing: Writing, answers: string | null): boolean => {
    const expiresInS = span ? SPANS[span] : null;
    const isTaken = room.send({ ...writing, threadId, replyTo: answers, expiresInS }) !== null;
    if (isTaken) onSent?.();
    else setNote(t("chat.full"));
    return isTaken;
  };
  const takeAnswer = () => {
    onReplied?.();
    return replyTo?.id ?? null;
  };
  const submit = (event?: FormEvent) => {
    event?.preventDefault();
    if (!canSend) {
      if (!isReady) setNote(t("chat.files.wait"));
      return;
    }
    if (room.isFull) return setNote(t("chat.full"));
    const words = text.trim();
    const answers = takeAnswer();
    const attachments = uploads.take();
    setText("");
    completion.close();
    setNote(null);
    field.current?.focus();
    // Whom it calls may have to be asked for: one after the other, so that they go in the order they were written.
    going.current = going.current.then(async () => {
      const mentions = await mentionsOf(words, snapshot.members, room);
      const files = attachments.length > 0 ? { attachments } : {};
      if (!say({ text: words, mentions, ...files }, answers)) setText(words);
    });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing || completion.onKeyDown(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && text === "" && onEditLast) {
      event.preventDefault();
      onEditLast();
    } else if (event.key === "Escape" && replyTo) {
      event.preventDefault();
      event.stopPropagation();
      onReplied?.();
    }
  };
  const onPaste = (event: ClipboardEvent) => {
    const files = [...event.clipboardData.files];
    // Office programs lay a picture of the words beside them: the words are meant.
    if (files.length === 0 || event.clipboardData.types.includes("text/plain")) return;
    event.preventDefault();
    attach(files);
  };
  const insert = (emoji: string) => {
    const at = field.current?.selectionStart ?? text.length;
    setText(text.slice(0, at) + emoji + text.slice(field.current?.selectionEnd ?? at));
    requestAnimationFrame(() => {
      field.current?.focus();
      field.current?.setSelectionRange(at + emoji.length, at + emoji.length);
    });
  };
  const add = (what: AddedKind) => {
    if (what.kind === "files") attach(what.files);
    else if (what.kind === "poll") setAsking(true);
    else setSpan(what.span);
  };

  return (
    <>
      <form onSubmit={(event) => submit(event)} className="relative shrink-0 px-3 pb-3">
        <Completion {...completion.list} />
        <Notes over={over} note={note} span={span} onKeep={() => setSpan(null)} />
        <div className="overflow-hidden rounded-2xl border border-line bg-surface focus-within:border-accent focus-within:ring-2 focus-within:ring-accent/30">
          {replyTo ? <Replying message={replyTo} onCancel={() => onReplied?.()} /> : null}
          <Files chosen={uploads.chosen} onRemove={uploads.remove} />
          <div className="flex items-end">
            {kind === "match" ? null : <AddMenu span={span} onAdd={add} />}
            <textarea
              ref={field}
              rows={1}
              aria-label={placeholder}
              placeholder={placeholder}
              className={`max-h-40 min-h-11 min-w-0 flex-1 resize-none bg-transparent py-2.5 leading-6 outline-none placeholder:truncate placeholder:text-soft ${kind === "match" ? "pl-3" : ""}`}
              value={text}
              onChange={(event) => {
                setText(event.target.value);
                completion.look();
                if (event.target.value) room.typing();
              }}
              onSelect={completion.look}
              onKeyDown={onKeyDown}
              onBlur={completion.close}
              onPaste={onPaste}
              data-testid={threadId ? "thread-text" : "message-text"}
              {...completion.aria}
            />
            <EmojiPicker label={t("chat.picker.insert")} onPick={insert}>
              <button
                type="button"
                aria-label={t("chat.picker.insert")}
                className="inline-flex size-11 shrink-0 items-center justify-center rounded-xl text-soft hover:text-ink"
              >
                <Smile aria-hidden className="size-5" />
              </button>
            </EmojiPicker>
            <IconButton
              type="submit"
              tone={canSend ? "accent" : "quiet"}
              label={t("chat.send")}
              disabled={!canSend}
              className="m-1 size-9!"
              data-testid={threadId ? "thread-send" : "send"}
            >
              <SendHorizontal aria-hidden className="size-5" />
            </IconButton>
          </div>
        </div>
      </form>
      {asking ? (
        <PollDialog onAsk={(poll) => say({ poll }, takeAnswer())} onClose={() => setAsking(false)} />
      ) : null}
    </>
  );
}

/** What is being written survives another room, and, where the SDK keeps it, a reload. */
function useDraft(room: Room, threadId: string | null): [string, (text: string) => void] {
  const [text, setText] = useState(() => (threadId ? room.draftOf(threadId) : room.draft));
  const write = (next: string) => {
    setText(next);
    if (threadId) room.keepDraft(threadId, next);
    else room.draft = next;
  };
  return [text, write];
}

/** The field grows with its text, up to some lines. */
function useGrowth(field: { current: HTMLTextAreaElement | null }, text: string): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text is what makes it grow.
  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text, field]);
}

function Notes({
  over,
  note,
  span,
  onKeep,
}: {
  over: number;
  note: string | null;
  span: Span | null;
  onKeep: () => void;
}) {
  const { t } = useTranslation();
  return (
    <>
      <p role="status" className="px-1 pb-1 text-sm text-danger-ink empty:pb-0">
        {over > 0 ? t("chat.tooLong", { count: over }) : note}
      </p>
      {span ? (
        <p className="flex items-center gap-1 px-1 pb-1 text-sm text-soft" data-testid="timer">
          {t("chat.timerIn", { time: t(`chat.spans.${span}`) })}
          <button
            type="button"
            aria-label={t("chat.timerStop")}
            className="grid size-6 place-items-center rounded-md hover:bg-sunken"
            onClick={onKeep}
          >
            <X aria-hidden className="size-4" />
          </button>
        </p>
      ) : null}
    </>
  );
}

function Replying({ message, onCancel }: { message: Message; onCancel: () => void }) {
  const { t } = useTranslation();
  return (
    <div
      className="flex items-center gap-2 border-b border-line bg-sunken/60 py-1 pr-1 pl-3 text-sm"
      data-testid="replying"
    >
      <p className="min-w-0 flex-1 truncate">
        <span className="font-semibold">{t("chat.replyingTo", { name: message.sender.nickname })}</span>{" "}
        <span className="text-soft">{brief(message, t("chat.quoteFile"))}</span>
      </p>
      <button
        type="button"
        aria-label={t("chat.cancelReply")}
        className="grid size-8 shrink-0 place-items-center rounded-lg hover:bg-sunken pointer-coarse:size-11"
        onClick={onCancel}
      >
        <X aria-hidden className="size-4" />
      </button>
    </div>
  );
}

function Files({ chosen, onRemove }: { chosen: Chosen[]; onRemove: (key: number) => void }) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => list.current?.scrollTo({ left: list.current.scrollWidth }), []);
  return chosen.length > 0 ? (
    <div ref={list} className="border-b border-line p-2">
      <UploadList chosen={chosen} onRemove={onRemove} />
    </div>
  ) : null;
}
