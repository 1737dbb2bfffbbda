import type { Entry, Message, Room } from "@parlor/sdk";
import { MessagesSquare, Pin, Search } from "lucide-react";
import {
  type DragEvent,
  type ReactNode,
  type Ref,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { useTranslation } from "react-i18next";
import { useRoom, useSize, useSocketState } from "../call/hooks.ts";
import { keepsOrder as keeps, rank } from "../call/rights.ts";
import { sentence } from "../errors.ts";
import { useBlocks } from "../safety/blocks.ts";
import { Alert, IconButton } from "../ui.tsx";
import { Composer, type ComposerHandle } from "./Composer.tsx";
import { Dialogs } from "./Dialogs.tsx";
import { Log } from "./Log.tsx";
import { useOffers } from "./offers.ts";
import { Panel } from "./Panel.tsx";
import { PinsPanel } from "./PinsPanel.tsx";
import { useChanges } from "./Quote.tsx";
import { SearchPanel } from "./SearchPanel.tsx";
import { ThreadList, ThreadView } from "./ThreadsPanel.tsx";
import { canEdit } from "./Toolbar.tsx";
import { useNewest, useUnreadFrom } from "./unread.ts";
import { type ChatDialog, ChatProvider, type ChatView } from "./view.ts";
import { whenOf } from "./when.ts";

/** What stands beside the messages; an open thread comes first. */
type Beside = { kind: "search"; text: string; nonce: number } | { kind: "pins" } | { kind: "threads" } | null;

/** With so much room, in CSS pixels, panels stand beside the messages. */
const BESIDE = 860;

interface ChatProps {
  room: Room;
  /** It has the whole page: panels stand beside the messages. */
  wide?: boolean;
  /** At the left of its bar: what the page says of the room. */
  title?: ReactNode;
  /** At the right of its bar. */
  tools?: ReactNode;
  /** A message to go to at first. */
  at?: string | null;
}

/** The messages of a room that has been joined, and all that one can do with them. It needs a `Safety` around it. */
export function Chat({ room, wide = false, title, tools, at = null }: ChatProps) {
  const { t } = useTranslation();
  const snapshot = useRoom(room);
  const [beside, setBeside] = useState<Beside>(null);
  const [dialog, setDialog] = useState<ChatDialog | null>(null);
  const [told, setTold] = useState<{ problem: boolean; text: string } | null>(null);
  const [target, setTarget] = useState<{ id: string } | null>(null);
  const [replyTo, setReplyTo] = useState<Message | null>(null);
  const [editing, setEditing] = useState<string | null>(null);
  const composer = useRef<ComposerHandle>(null);
  const [frame, setFrame] = useState<HTMLElement | null>(null);
  const hasRoom = useSize(frame).width >= BESIDE && wide;
  const newest = useNewest(room, snapshot);
  const { thread, messages } = snapshot;

  const act = useCallback(async (work: () => Promise<unknown>) => {
    setTold(null);
    try {
      await work();
    } catch (error) {
      setTold({ problem: true, text: sentence(error) });
    }
  }, []);
  const jump = useCallback(
    (id: string) => {
      const threadOf = () => room.message(id)?.content.threadId;
      const isOpen = () => threadOf() !== undefined && threadOf() === room.snapshot.thread?.rootId;
      if (!hasRoom && !isOpen()) {
        setBeside(null);
        room.pages.closeThread();
      }
      void act(async () => {
        // A message of a thread is not in the log.
        if (!threadOf() && !(await room.pages.visit(id))) return;
        const threadId = threadOf();
        if (threadId && !isOpen()) await room.pages.openThread(threadId);
        setTarget({ id });
      });
    },
    [act, room, hasRoom],
  );
  const view = useView(room, {
    act,
    jump,
    target,
    show: setDialog,
    search: (text) => search(text),
    keepUnread: (id) => {
      newest.keep();
      void act(() => room.markUnread(id));
    },
  });
  useChanges(room);
  const search = (text: string) => {
    room.pages.closeThread();
    setBeside({ kind: "search", text, nonce: Date.now() });
  };
  const toggle = (kind: "pins" | "threads") => {
    room.pages.closeThread();
    setBeside(beside?.kind === kind && !thread ? null : { kind });
  };
  const reply = (message: Message) => {
    setReplyTo(message);
    composer.current?.focus();
  };
  const editLast = () => {
    const last = messages.findLast(({ message, state }) => state === "sent" && isMine(message, view.myId));
    if (last) setEditing(last.message.id);
  };
  const finishEdit = (id: string | null) => {
    setEditing(id);
    if (id === null) composer.current?.focus();
  };
  const isJoined = snapshot.state === "joined";
  const isCovered = !hasRoom && (beside !== null || thread !== null);
  // Once: whoever has gone on is not brought back by a socket that was lost.
  const come = useRef<string | null>(null);
  useEffect(() => {
    if (!at || !isJoined || come.current === at) return;
    come.current = at;
    jump(at);
  }, [at, isJoined, jump]);
  useEffect(() => {
    if (!told || told.problem) return;
    const timer = setTimeout(() => setTold(null), 5_000);
    return () => clearTimeout(timer);
  }, [told]);

  return (
    <ChatProvider value={view}>
      <Dropping
        ref={setFrame}
        onFiles={(files) => composer.current?.attach(files)}
        enabled={view.mayWrite && view.takesFiles}
      >
        <div className="relative flex min-h-0 min-w-0 flex-1 flex-col">
          <div className="flex min-h-0 min-w-0 flex-1 flex-col" inert={isCovered}>
            {snapshot.info?.kind === "match" ? null : (
              <Bar
                title={title}
                tools={tools}
                beside={beside?.kind ?? null}
                onToggle={toggle}
                onSearch={() => search("")}
              />
            )}
            <Log
              entries={messages}
              hasOlder={snapshot.hasOlder}
              hasNewer={snapshot.hasNewer}
              target={target}
              unreadFrom={useUnreadFrom(snapshot, view.myId, view.blocked)}
              editing={editing}
              onEdit={finishEdit}
              onReply={reply}
              onTakeBack={(text) => composer.current?.write(text)}
              onOlder={useCallback(() => act(() => room.pages.older()), [act, room])}
              onNewer={useCallback(() => act(() => room.pages.newer()), [act, room])}
              onNewest={() => room.pages.newest()}
              onAtEnd={newest.setAtEnd}
            />
            <Typing names={snapshot.typing} />
            {told ? (
              <div className="px-3 pb-2">
                {told.problem ? <Alert>{told.text}</Alert> : <p role="status">{told.text}</p>}
              </div>
            ) : null}
            <Writing view={view}>
              <Composer
                ref={composer}
                placeholder={t("chat.write")}
                replyTo={replyTo}
                onReplied={() => setReplyTo(null)}
                onEditLast={editLast}
                onSent={() => room.pages.newest()}
              />
            </Writing>
          </div>
          {hasRoom ? null : (
            <Aside beside={beside} onClose={() => setBeside(null)} view={view} isBeside={false} />
          )}
        </div>
        {hasRoom ? <Aside beside={beside} onClose={() => setBeside(null)} view={view} isBeside /> : null}
      </Dropping>
      <Dialogs
        open={dialog}
        onClose={() => setDialog(null)}
        onNotice={(text) => setTold({ problem: false, text })}
      />
    </ChatProvider>
  );
}

function isMine(message: Message, myId: string): boolean {
  return message.sender.id === myId && !message.deleted && message.content.text !== "" && canEdit(message);
}

/** What all parts share. */
function useView(
  room: Room,
  given: Pick<ChatView, "act" | "jump" | "target" | "show" | "search" | "keepUnread">,
): ChatView {
  const { act } = given;
  const snapshot = useRoom(room);
  const { blocks } = useBlocks();
  const { role, info, members, messages, mutedUntil } = snapshot;
  const me = room.me;
  const names = useMemo(() => namesOf(messages, members), [messages, members]);
  const blocked = useMemo(() => new Set(blocks.map(({ userId }) => userId)), [blocks]);
  const offers = useOffers(info);
  useEffect(() => room.ignore(blocked), [room, blocked]);
  const isModerator = rank(role) >= rank("moderator");
  const isMuted = mutedUntil !== null && Date.parse(mutedUntil) > Date.now();
  const mayPost = rank(role) >= rank(info?.settings?.permits?.post ?? "member");
  return {
    room,
    snapshot,
    myId: me?.id ?? "",
    myName: me?.nickname ?? "",
    keepsOrder: keeps(role, me?.role ?? "member"),
    pins: isModerator,
    mayWrite: mayPost && !isMuted && !info?.archivedAt,
    ...offers,
    names,
    blocked,
    openThread: (rootId) => void act(() => room.pages.openThread(rootId)),
    ...given,
  };
}

function namesOf(entries: readonly Entry[], members: readonly { userId: string; nickname: string }[]) {
  const names = new Map(entries.map(({ message: { sender } }) => [sender.id, sender.nickname]));
  for (const { userId, nickname } of members) names.set(userId, nickname);
  return names;
}

interface BarProps {
  title: ReactNode;
  tools: ReactNode;
  beside: string | null;
  onToggle: (kind: "pins" | "threads") => void;
  onSearch: () => void;
}

function Bar({ title, tools, beside, onToggle, onSearch }: BarProps) {
  const { t } = useTranslation();
  const button = (kind: string) => (beside === kind ? "bg-tint! text-accent!" : "");
  return (
    <div className="flex min-h-12 shrink-0 items-center border-b border-line bg-surface pr-1 pl-3">
      <div className="flex min-w-0 flex-1 items-center">{title ?? <OnlineCount />}</div>
      <IconButton
        label={t("chat.search.open")}
        className={button("search")}
        onClick={onSearch}
        data-testid="open-search"
      >
        <Search aria-hidden className="size-5" />
      </IconButton>
      <IconButton
        label={t("chat.pins.open")}
        className={button("pins")}
        onClick={() => onToggle("pins")}
        data-testid="open-pins"
      >
        <Pin aria-hidden className="size-5" />
      </IconButton>
      <IconButton
        label={t("chat.threads.open")}
        className={button("threads")}
        onClick={() => onToggle("threads")}
        data-testid="open-threads"
      >
        <MessagesSquare aria-hidden className="size-5" />
      </IconButton>
      {tools}
    </div>
  );
}

function OnlineCount() {
  const { t } = useTranslation();
  return <span className="sr-only">{t("chat.title")}</span>;
}

/** What stands beside the messages, or over them. */
function Aside({
  beside,
  onClose,
  view,
  isBeside,
}: {
  beside: Beside;
  onClose: () => void;
  view: ChatView;
  isBeside: boolean;
}) {
  const { t } = useTranslation();
  const { thread } = view.snapshot;
  if (thread) {
    const name = thread.root?.sender.nickname;
    return (
      <Panel
        title={name ? t("chat.threads.of", { name }) : t("chat.threads.one")}
        beside={isBeside}
        onClose={() => view.room.pages.closeThread()}
      >
        <ThreadView key={thread.rootId} thread={thread} />
      </Panel>
    );
  }
  if (!beside) return null;
  return (
    <Panel title={t(`chat.${beside.kind}.title`)} beside={isBeside} onClose={onClose}>
      {beside.kind === "search" ? (
        <SearchPanel key={beside.nonce} initial={beside.text} />
      ) : beside.kind === "pins" ? (
        <PinsPanel />
      ) : (
        <ThreadList />
      )}
    </Panel>
  );
}

function Typing({ names }: { names: string[] }) {
  const { t } = useTranslation();
  const text =
    names.length > 3
      ? t("chat.typingMany")
      : names.length > 0
        ? t("chat.typing", { count: names.length, names: names.join(", ") })
        : "";
  return (
    <p aria-live="polite" className="h-6 shrink-0 truncate px-4 text-sm text-soft" data-testid="typing">
      {text}
    </p>
  );
}

/** Where one writes, or why one cannot. */
function Writing({ view: { snapshot, mayWrite }, children }: { view: ChatView; children: ReactNode }) {
  const { t, i18n } = useTranslation();
  const socket = useSocketState();
  const { info, mutedUntil, role } = snapshot;
  const post = info?.settings?.permits?.post ?? "member";
  const slow = info?.settings?.slowModeS ?? 0;
  if (!mayWrite) {
    const why = info?.archivedAt
      ? t("chat.archived")
      : post !== "member" && rank(role) < rank(post)
        ? t(`chat.mayNotPost.${post}`)
        : t("chat.muted", { when: mutedUntil ? whenOf(mutedUntil, i18n.language) : "" });
    return (
      <p
        role="status"
        className="m-3 mt-0 rounded-xl bg-sunken px-3 py-2.5 text-center text-soft"
        data-testid="may-not-write"
      >
        {why}
      </p>
    );
  }
  const note =
    socket !== "open"
      ? t("chat.offline")
      : slow > 0 && role === "member"
        ? t("chat.slowMode", { time: t("chat.seconds", { count: slow }) })
        : null;
  return (
    <>
      {children}
      {note ? <p className="-mt-2 px-4 pb-2 text-xs text-soft">{note}</p> : null}
    </>
  );
}

/** Takes files that are dropped anywhere on the chat. */
function Dropping({
  ref,
  onFiles,
  enabled,
  children,
}: {
  ref: Ref<HTMLDivElement>;
  onFiles: (files: File[]) => void;
  enabled: boolean;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  const [isOver, setOver] = useState(false);
  const hasFiles = (event: DragEvent) => enabled && event.dataTransfer.types.includes("Files");
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: files can be chosen by keyboard too, from the menu.
    <div
      ref={ref}
      className="relative flex min-h-0 min-w-0 flex-1"
      onDragOver={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) =>
        event.currentTarget.contains(event.relatedTarget as Node | null) || setOver(false)
      }
      onDrop={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(false);
        onFiles([...event.dataTransfer.files]);
      }}
    >
      {children}
      {isOver ? (
        <div className="pointer-events-none absolute inset-2 z-30 grid place-items-center rounded-2xl border-2 border-accent border-dashed bg-surface/90 text-lg font-semibold text-accent">
          {t("chat.files.drop")}
        </div>
      ) : null}
    </div>
  );
}
