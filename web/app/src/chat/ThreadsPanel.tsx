import type { Message, OpenThread } from "@parlor/sdk";
import { Lock, LockOpen } from "lucide-react";
import { useCallback, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Alert, Button } from "../ui.tsx";
import { Card } from "./Card.tsx";
import { Composer, type ComposerHandle } from "./Composer.tsx";
import { Log } from "./Log.tsx";
import { MessageItem } from "./MessageItem.tsx";
import { useChat } from "./view.ts";
import { whenOf } from "./when.ts";

/** The threads that begin with the messages that are loaded, stirred last first. */
export function ThreadList() {
  const { t, i18n } = useTranslation();
  const { room, snapshot, openThread, act } = useChat();
  const [isLooking, setLooking] = useState(false);
  const roots = snapshot.messages
    .map(({ message }) => message)
    .filter(({ thread }) => thread !== undefined && thread.replies > 0)
    .sort((one, other) => (other.thread?.lastReplyAt ?? "").localeCompare(one.thread?.lastReplyAt ?? ""));
  const look = async () => {
    setLooking(true);
    await act(() => room.pages.older());
    setLooking(false);
  };
  return (
    <ul className="grid content-start gap-2 overflow-y-auto p-3">
      {roots.length === 0 ? <li className="p-3 text-center text-soft">{t("chat.threads.none")}</li> : null}
      {roots.map((message) => (
        <Card
          key={message.id}
          message={message}
          testId="thread"
          onOpen={() => openThread(message.id)}
          foot={
            <span className="mt-1 block text-sm font-semibold text-accent">
              {t("chat.threads.replies", { count: message.thread?.replies ?? 0 })}
              {message.thread?.lastReplyAt ? (
                <span className="font-normal text-soft">
                  {" "}
                  {t("chat.threads.last", { when: whenOf(message.thread.lastReplyAt, i18n.language) })}
                </span>
              ) : null}
            </span>
          }
        />
      ))}
      {snapshot.hasOlder ? (
        <li>
          <Button
            tone="quiet"
            className="w-full text-accent!"
            disabled={isLooking}
            onClick={() => void look()}
            data-testid="threads-further"
          >
            {t("chat.threads.further")}
          </Button>
        </li>
      ) : null}
    </ul>
  );
}

/** One thread: what it hangs on, what was said in it, and where one writes. */
export function ThreadView({ thread }: { thread: OpenThread }) {
  const { t } = useTranslation();
  const { room, keepsOrder, mayWrite, act, target } = useChat();
  const [editing, setEditing] = useState<string | null>(null);
  const composer = useRef<ComposerHandle>(null);
  const { root, rootId } = thread;
  const isLocked = root?.thread?.locked ?? false;
  const onOlder = useCallback(() => act(() => room.pages.olderInThread()), [act, room]);
  return (
    <div className="flex min-h-0 flex-1 flex-col" data-testid="thread-view">
      {root ? <Root message={root} editing={editing === root.id} onEdit={setEditing} /> : null}
      {root && keepsOrder && root.thread ? (
        <div className="flex justify-end border-b border-line px-2">
          <Button
            tone="quiet"
            className="min-h-9 px-3 text-sm"
            onClick={() => void act(() => room.acts.lockThread(rootId, !isLocked))}
            data-testid="lock-thread"
          >
            {isLocked ? <LockOpen aria-hidden className="size-4" /> : <Lock aria-hidden className="size-4" />}
            {t(isLocked ? "chat.unlock" : "chat.lock")}
          </Button>
        </div>
      ) : null}
      <Log
        entries={thread.messages}
        hasOlder={thread.hasOlder}
        hasNewer={false}
        target={target}
        unreadFrom={null}
        inThread
        editing={editing}
        onEdit={setEditing}
        onReply={() => composer.current?.focus()}
        onTakeBack={(text) => composer.current?.write(text)}
        onOlder={onOlder}
        onNewer={nothing}
        onNewest={() => undefined}
        onAtEnd={() => undefined}
      />
      {isLocked && !keepsOrder ? (
        <div className="p-3">
          <Alert>{t("chat.threads.locked")}</Alert>
        </div>
      ) : mayWrite && !root?.deleted ? (
        <Composer ref={composer} key={rootId} threadId={rootId} placeholder={t("chat.writeReply")} />
      ) : null}
    </div>
  );
}

const nothing = async () => undefined;

interface RootProps {
  message: Message;
  editing: boolean;
  onEdit: (messageId: string | null) => void;
}

function Root({ message, editing, onEdit }: RootProps) {
  const entry = {
    key: message.id,
    message,
    state: "sent" as const,
    error: null,
    code: null,
    waitsUntil: null,
  };
  return (
    <div className="max-h-60 shrink-0 overflow-y-auto border-b border-line pt-3 pb-3">
      <MessageItem
        entry={entry}
        first
        inThread
        editing={editing}
        onEdit={onEdit}
        onReply={() => undefined}
        onTakeBack={() => undefined}
      />
    </div>
  );
}
