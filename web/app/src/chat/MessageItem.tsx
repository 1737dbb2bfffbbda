import type { Entry, Message } from "@parlor/sdk";
import { Hourglass, MessagesSquare, Pin } from "lucide-react";
import { type KeyboardEvent, type Ref, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSecondsLeft } from "../clock.ts";
import { Button } from "../ui.tsx";
import { Attachments } from "./Attachments.tsx";
import { Avatar } from "./Avatar.tsx";
import { Editor } from "./Editor.tsx";
import { LinkCard } from "./LinkCard.tsx";
import { PollView } from "./PollView.tsx";
import { ForwardedFrom, Quote } from "./Quote.tsx";
import { Reactions } from "./Reactions.tsx";
import { RichText } from "./RichText.tsx";
import { canEdit, Toolbar } from "./Toolbar.tsx";
import { useChat } from "./view.ts";
import { clockOf, spanText, whenOf } from "./when.ts";

interface MessageItemProps {
  ref?: Ref<HTMLDivElement>;
  entry: Entry;
  /** The first of a group: it names the author. */
  first: boolean;
  seenBy?: readonly string[];
  /** Somebody has just come here. */
  marked?: boolean;
  inThread?: boolean;
  editing: boolean;
  onEdit: (messageId: string | null) => void;
  onReply: (message: Message) => void;
  /** The text of a refused message, to be changed. */
  onTakeBack: (text: string) => void;
}

export function MessageItem(props: MessageItemProps) {
  const { entry, first, seenBy = [], marked = false, inThread = false, editing, onEdit, onReply } = props;
  const { myId, myName, blocked } = useChat();
  const { message, state } = entry;
  const [isNear, setNear] = useState(false);
  const [isOpen, setOpen] = useState(false);
  const [isShown, setShown] = useState(false);
  const isMine = message.sender.id === myId;
  const isSettled = state === "sent" && !message.deleted;
  const isHidden = blocked.has(message.sender.id) && !isShown;
  const callsMe = !isMine && isCalled(message, myId);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "r" && isSettled) onReply(message);
    else if (event.key === "e" && isSettled && isMine && canEdit(message)) onEdit(message.id);
    else return;
    event.preventDefault();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys are short cuts of the buttons that it shows.
    <div
      ref={props.ref}
      tabIndex={-1}
      onMouseEnter={() => setNear(true)}
      onMouseLeave={() => setNear(false)}
      onFocus={() => setNear(true)}
      onBlur={(event) => event.currentTarget.contains(event.relatedTarget) || setNear(false)}
      onKeyDown={onKeyDown}
      className={`@container group relative flex gap-3 py-0.5 pr-3 pl-3 -outline-offset-3 motion-safe:transition-colors ${first ? "mt-3" : ""} ${
        marked || callsMe ? "bg-warn-ground/60" : isNear ? "bg-sunken/70" : ""
      } ${callsMe ? "shadow-[inset_3px_0_0_var(--color-warn-ink)]" : ""}`}
      data-testid="message"
      data-state={state}
      data-id={message.id}
      data-marked={marked || undefined}
    >
      <Margin message={message} first={first} />
      <div className="min-w-0 flex-1">
        {message.replyTo && !message.deleted ? <Quote messageId={message.replyTo} /> : null}
        {first ? <Byline message={message} isMine={isMine} /> : null}
        {isHidden ? (
          <Hidden onShow={() => setShown(true)} />
        ) : editing && isSettled ? (
          <Edited message={message} onDone={() => onEdit(null)} />
        ) : (
          <Body message={message} sending={state === "sending"} inThread={inThread} />
        )}
        {state === "sent" ? null : <Fate {...props} />}
        <Seen ids={seenBy} others={isMine || seenBy.length > 0} />
      </div>
      {isSettled && !editing && !isHidden && (isNear || isOpen) ? (
        <Toolbar
          message={message}
          inThread={inThread}
          onEdit={() => onEdit(message.id)}
          onReply={() => onReply(message)}
          onOpenChange={setOpen}
        />
      ) : null}
      {callsMe ? <span className="sr-only">{`@${myName}`}</span> : null}
    </div>
  );
}

function isCalled({ content: { mentions }, deleted }: Message, myId: string): boolean {
  return !deleted && Boolean(mentions && (mentions.here || mentions.room || mentions.users?.includes(myId)));
}

/** Beside the words: who wrote them, or, further down in a group, when. */
function Margin({ message, first }: { message: Message; first: boolean }) {
  const { i18n } = useTranslation();
  return (
    <div className="w-9 shrink-0">
      {first ? (
        <div className={message.replyTo && !message.deleted ? "pt-6.5" : "pt-0.5"}>
          <Avatar id={message.sender.id} name={message.sender.nickname} />
        </div>
      ) : (
        <time
          dateTime={message.createdAt}
          className="block pt-1 text-center text-[0.65rem] leading-4 text-soft opacity-0 group-hover:opacity-100"
        >
          {clockOf(message.createdAt, i18n.language).replace(/\s?[AP]M/i, "")}
        </time>
      )}
    </div>
  );
}

function Byline({ message, isMine }: { message: Message; isMine: boolean }) {
  const { t, i18n } = useTranslation();
  return (
    <p className="flex items-baseline gap-2 leading-6">
      <span className={`truncate font-semibold ${isMine ? "text-accent" : ""}`}>
        {message.sender.nickname}
      </span>
      <time
        dateTime={message.createdAt}
        title={whenOf(message.createdAt, i18n.language)}
        className="shrink-0 text-xs text-soft"
      >
        {clockOf(message.createdAt, i18n.language)}
      </time>
      {message.pinnedAt ? (
        <span className="inline-flex items-center gap-1 text-xs text-soft">
          <Pin aria-hidden className="size-3" />
          {t("chat.pinnedMark")}
        </span>
      ) : null}
    </p>
  );
}

function Body({ message, sending, inThread }: { message: Message; sending: boolean; inThread: boolean }) {
  const { t } = useTranslation();
  const { content, thread } = message;
  if (message.deleted) {
    return (
      <>
        <p>
          <em className="text-soft">{t("chat.deleted")}</em>
        </p>
        {thread && !inThread ? <ThreadLink message={message} /> : null}
      </>
    );
  }
  return (
    <>
      <ForwardedFrom message={message} />
      {content.text && !content.poll ? (
        <p
          className={`whitespace-pre-wrap wrap-anywhere ${sending ? "text-soft" : ""} ${content.forwardedFrom ? "border-l-2 border-line pl-2" : ""}`}
        >
          <RichText message={message} />
          {message.editedAt ? <span className="ml-2 text-xs text-soft">({t("chat.edited")})</span> : null}
        </p>
      ) : null}
      {content.poll ? <PollView message={message} poll={content.poll} /> : null}
      {sending ? null : <LinkCard message={message} />}
      <Attachments message={message} />
      {message.expiresAt ? <Fuse at={message.expiresAt} /> : null}
      <Reactions message={message} />
      {thread && !inThread ? <ThreadLink message={message} /> : null}
    </>
  );
}

function Edited({ message, onDone }: { message: Message; onDone: () => void }) {
  const { room, act } = useChat();
  return (
    <Editor
      text={message.content.text}
      onCancel={onDone}
      onSave={(text) =>
        act(async () => {
          await room.acts.edit(message.id, text);
          onDone();
        })
      }
    />
  );
}

function Hidden({ onShow }: { onShow: () => void }) {
  const { t } = useTranslation();
  return (
    <p className="text-soft italic">
      {t("chat.blockedMessage")}{" "}
      <button type="button" className="text-accent underline underline-offset-2" onClick={onShow}>
        {t("chat.show")}
      </button>
    </p>
  );
}

/** It deletes itself: how long it has left. */
function Fuse({ at }: { at: string }) {
  const { t } = useTranslation();
  const left = useSecondsLeft(Date.parse(at));
  return (
    <p className="inline-flex items-center gap-1 text-xs text-soft tabular-nums" data-testid="fuse">
      <Hourglass aria-hidden className="size-3" />
      {t("chat.goesIn", { time: spanText(left ?? 0) })}
    </p>
  );
}

function ThreadLink({ message }: { message: Message }) {
  const { t, i18n } = useTranslation();
  const { openThread } = useChat();
  const { thread } = message;
  if (!thread) return null;
  return (
    <button
      type="button"
      onClick={() => openThread(message.id)}
      className="mt-1 inline-flex min-h-8 max-w-full items-center gap-2 rounded-lg border border-line bg-surface px-2 text-sm hover:border-accent pointer-coarse:min-h-11"
      data-testid="thread-link"
    >
      <MessagesSquare aria-hidden className="size-4 shrink-0 text-accent" />
      <span className="font-semibold text-accent">
        {t("chat.threads.replies", { count: thread.replies })}
      </span>
      {thread.lastReplyAt ? (
        <span className="truncate text-soft">
          {t("chat.threads.last", { when: whenOf(thread.lastReplyAt, i18n.language) })}
        </span>
      ) : null}
    </button>
  );
}

/** What is with a message that the server does not have: on its way, waiting, or refused. The text stays. */
function Fate({ entry: { message, state, error, waitsUntil }, onTakeBack }: MessageItemProps) {
  const { t } = useTranslation();
  const { room } = useChat();
  const left = useSecondsLeft(waitsUntil);
  const { clientId } = message;
  const discard = (
    <Button
      tone="quiet"
      className="min-h-9 px-3 text-sm"
      onClick={() => room.discard(clientId)}
      data-testid="discard"
    >
      {t("chat.discard")}
    </Button>
  );
  if (state === "sending") {
    if (left === null || left === 0) return <p className="text-xs text-soft">{t("chat.sending")}</p>;
    return (
      <div className="flex flex-wrap items-center gap-x-2 text-sm text-warn-ink" data-testid="waits">
        <span role="status">{t("chat.waits", { time: spanText(left), reason: error ?? "" })}</span>
        {discard}
      </div>
    );
  }
  return (
    <div className="flex flex-wrap items-center gap-1 text-sm text-danger-ink">
      <span role="alert" className="mr-1">
        {error}
      </span>
      <Button
        tone="plain"
        className="min-h-9 px-3 text-sm"
        onClick={() => room.retry(clientId)}
        data-testid="retry"
      >
        {t("chat.retry")}
      </Button>
      {message.content.text ? (
        <Button
          tone="plain"
          className="min-h-9 px-3 text-sm"
          onClick={() => {
            onTakeBack(message.content.text);
            room.discard(clientId);
          }}
        >
          {t("chat.takeBack")}
        </Button>
      ) : null}
      {discard}
    </div>
  );
}

/** Who has read up to here. */
function Seen({ ids, others }: { ids: readonly string[]; others: boolean }) {
  const { t } = useTranslation();
  const { names } = useChat();
  if (ids.length === 0 || !others) return null;
  const known = ids.map((id) => names.get(id) ?? "?");
  const text = t("chat.seenBy", { names: known.join(", ") });
  return (
    <p className="mt-0.5 flex items-center justify-end gap-0.5" title={text} data-testid="seen">
      <span className="sr-only">{text}</span>
      {ids.slice(0, 5).map((id, index) => (
        <Avatar key={id} id={id} name={known[index] ?? "?"} small />
      ))}
      {ids.length > 5 ? <span className="text-xs text-soft">+{ids.length - 5}</span> : null}
    </p>
  );
}
