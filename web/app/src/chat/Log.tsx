import { counts, type Entry, type Message } from "@parlor/sdk";
import { defaultRangeExtractor, type Range, useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown } from "lucide-react";
import {
  type KeyboardEvent,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { useTranslation } from "react-i18next";
import { useSize } from "../call/hooks.ts";
import { Button } from "../ui.tsx";
import { MessageItem } from "./MessageItem.tsx";
import { type Row, rowsOf } from "./rows.ts";
import { SystemLine } from "./SystemLine.tsx";
import { useChat } from "./view.ts";
import { dayName } from "./when.ts";

/** Closer to the end than this, in CSS pixels, the log follows new messages. */
const AT_END = 80;
/** So near to an end of what is loaded, in lines, more is fetched. */
const NEAR = 6;
/** Lines beyond those in sight that are in the page. */
const BEYOND = 12;
/** How long a message is marked that somebody has jumped to. */
const MARKED_MS = 2_500;

interface LogProps {
  entries: Entry[];
  hasOlder: boolean;
  hasNewer: boolean;
  /** The message to go to; a new object for each wish. */
  target: { id: string } | null;
  unreadFrom: string | null;
  inThread?: boolean;
  editing: string | null;
  onEdit: (messageId: string | null) => void;
  onReply: (message: Message) => void;
  onTakeBack: (text: string) => void;
  onOlder: () => Promise<void>;
  onNewer: () => Promise<void>;
  /** Back from the past. */
  onNewest: () => void;
  /** Whether the newest message is in sight. */
  onAtEnd: (atEnd: boolean) => void;
}

/** The messages. Only those near to what is seen are in the page, so that thousands cost no more than fifty. */
export function Log(props: LogProps) {
  const { entries, hasOlder, hasNewer, target, unreadFrom, inThread = false, editing, onAtEnd } = props;
  const { t } = useTranslation();
  const { snapshot, myId } = useChat();
  const scroller = useRef<HTMLDivElement | null>(null);
  const [frame, setFrame] = useState<HTMLDivElement | null>(null);
  const { width, height } = useSize(frame);
  const [isAtEnd, setAtEnd] = useState(true);
  const [marked, setMarked] = useState<string | null>(null);
  const rows = useMemo(
    () =>
      rowsOf(entries, { unreadFrom, receipts: inThread ? [] : snapshot.receipts, myId, threads: inThread }),
    [entries, unreadFrom, snapshot.receipts, myId, inThread],
  );
  // What is being changed stays, however far away one looks: with it what has been typed would go.
  const held = editing
    ? rows.findIndex((row) => row.kind === "message" && row.entry.message.id === editing)
    : -1;
  const rangeExtractor = useCallback(
    (range: Range) => {
      const shown = defaultRangeExtractor(range);
      return held < 0 || shown.includes(held) ? shown : [...shown, held].sort((one, other) => one - other);
    },
    [held],
  );
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => (rows[index]?.kind === "message" ? 52 : 36),
    getItemKey: (index) => rows[index]?.key ?? index,
    overscan: BEYOND,
    rangeExtractor,
    paddingEnd: inThread ? 16 : 8,
    anchorTo: "end",
    followOnAppend: !hasNewer,
    scrollEndThreshold: AT_END,
  });
  const items = list.getVirtualItems();
  const { startIndex = 0, endIndex = 0 } = list.range ?? {};
  useEnds(props, startIndex - BEYOND, endIndex + BEYOND, rows.length, list.range !== null);

  // One's own message is always followed, wherever one has read until then.
  const last = entries.at(-1);
  const followed = last && last.message.sender.id === myId && last.state === "sending" ? last.key : null;
  useLayoutEffect(() => {
    if (followed) list.scrollToEnd();
  }, [followed, list]);
  const isFilled = rows.length > 0;
  useLayoutEffect(() => {
    if (isFilled) list.scrollToEnd();
  }, [isFilled, list]);

  const hold = useCallback((element: HTMLDivElement | null) => {
    scroller.current = element;
    setFrame(element);
  }, []);
  // Beside a panel, or above a longer field, there is less of it: the end stays in sight.
  const following = useRef(true);
  following.current = isAtEnd;
  useLayoutEffect(() => {
    if (width > 0 && height > 0 && following.current) list.scrollToEnd();
  }, [width, height, list]);

  const wish = useRef<string | null>(null);
  useLayoutEffect(() => {
    wish.current = target?.id ?? null;
  }, [target]);
  // At each change, until the message is there: it may have to be fetched first.
  useLayoutEffect(() => {
    const id = wish.current;
    const index = id ? rows.findIndex((row) => row.kind === "message" && row.entry.message.id === id) : -1;
    if (index < 0) return;
    wish.current = null;
    list.scrollToIndex(index, { align: "center" });
    setMarked(id);
  });
  useEffect(() => {
    if (!marked) return;
    const timer = setTimeout(() => setMarked(null), MARKED_MS);
    return () => clearTimeout(timer);
  }, [marked]);

  const onScroll = () => {
    // As it is now: the list hears of a scroll after this does.
    const { scrollHeight = 0, scrollTop = 0, clientHeight = 0 } = scroller.current ?? {};
    const atEnd = scrollHeight - scrollTop - clientHeight <= AT_END;
    setAtEnd(atEnd);
    onAtEnd(atEnd && !hasNewer);
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is added may leave the end out of sight, or bring it back.
  useEffect(onScroll, [rows.length, hasNewer]);

  return (
    <>
      <div className="relative flex min-h-0 flex-1 flex-col">
        <div
          ref={hold}
          role="log"
          aria-label={t("chat.log")}
          // What comes is read out by a line of its own: here lines come and go as somebody scrolls.
          aria-live="off"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and must do so by keyboard too.
          tabIndex={0}
          onScroll={onScroll}
          onKeyDown={walk}
          className="flex min-h-0 flex-1 flex-col overflow-y-auto overflow-x-hidden pt-4 -outline-offset-3"
          data-testid="log"
          data-at-end={isAtEnd && !hasNewer}
        >
          {isFilled ? null : (
            <p className="m-auto px-4 py-8 text-center text-soft">
              {t(inThread ? "chat.threads.empty" : "chat.empty")}
            </p>
          )}
          <div className="relative mt-auto w-full shrink-0" style={{ height: list.getTotalSize() }}>
            {items.map((item) => {
              const row = rows[item.index];
              return row ? (
                <div
                  key={item.key}
                  ref={list.measureElement}
                  data-index={item.index}
                  className="absolute top-0 left-0 w-full hover:z-10 focus-within:z-10"
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <Line {...props} row={row} marked={marked} beginning={item.index === 0 && !hasOlder} />
                </div>
              ) : null;
            })}
          </div>
        </div>
        {isAtEnd && !hasNewer ? null : <Newest {...props} onEnd={() => list.scrollToEnd()} />}
      </div>
      <Heard threadId={inThread ? (snapshot.thread?.rootId ?? null) : null} />
    </>
  );
}

function Line({ row, marked, ...rest }: LogProps & { row: Row; marked: string | null; beginning: boolean }) {
  const { t, i18n } = useTranslation();
  switch (row.kind) {
    case "day":
      return <Rule text={dayName(row.at, i18n.language)} />;
    case "unread":
      return <Rule text={t("chat.unread")} loud />;
    case "system":
      return <SystemLine message={row.entry.message} />;
    case "message":
      return (
        <MessageItem
          entry={row.entry}
          first={row.first}
          seenBy={row.seenBy}
          marked={marked === row.entry.message.id}
          inThread={rest.inThread ?? false}
          editing={rest.editing === row.entry.message.id}
          onEdit={rest.onEdit}
          onReply={rest.onReply}
          onTakeBack={rest.onTakeBack}
        />
      );
  }
}

function Rule({ text, loud = false }: { text: string; loud?: boolean }) {
  return (
    <div
      className="flex items-center gap-3 px-3 pt-3 text-xs font-semibold"
      data-testid={loud ? "unread-divider" : "day"}
    >
      <span className={`h-px flex-1 ${loud ? "bg-danger-ink" : "bg-line"}`} />
      <span className={loud ? "text-danger-ink" : "text-soft"}>{text}</span>
      <span className={`h-px flex-1 ${loud ? "bg-danger-ink" : "bg-line"}`} />
    </div>
  );
}

/** Fetches more before somebody reaches the end of what is there. */
function useEnds(
  { hasOlder, hasNewer, onOlder, onNewer }: LogProps,
  first: number,
  last: number,
  count: number,
  isSeen: boolean,
): void {
  const busy = useRef(false);
  useEffect(() => {
    const isNearTop = hasOlder && first < NEAR;
    const isNearEnd = hasNewer && last >= count - NEAR;
    // A log that nobody sees has no ends.
    const isWanted = (isSeen || count === 0) && (isNearTop || isNearEnd);
    if (busy.current || !isWanted) return;
    busy.current = true;
    void (isNearTop ? onOlder() : onNewer()).finally(() => {
      busy.current = false;
    });
  }, [hasOlder, hasNewer, onOlder, onNewer, first, last, count, isSeen]);
}

/** Arrow keys walk from message to message; Tab then goes into what it offers. */
function walk(event: KeyboardEvent<HTMLElement>): void {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const target = event.target as HTMLElement;
  const isLine = target.dataset.testid === "message";
  if (!step || (!isLine && target !== event.currentTarget)) return;
  const lines = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-testid=message]")].sort(
    (one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top,
  );
  const at = isLine ? lines.indexOf(target) + step : lines.length - 1;
  const next = lines[at];
  if (!next) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function Newest({ hasNewer, onNewest, onEnd }: LogProps & { onEnd: () => void }) {
  const { t } = useTranslation();
  const { snapshot } = useChat();
  const count = snapshot.unread?.unread ?? 0;
  return (
    <Button
      tone="plain"
      className="absolute bottom-2 left-1/2 min-h-9! -translate-x-1/2 whitespace-nowrap rounded-full! px-3! text-sm shadow-lg"
      onClick={() => {
        if (hasNewer) onNewest();
        requestAnimationFrame(onEnd);
      }}
      data-testid="newest"
    >
      <ArrowDown aria-hidden className="size-4" />
      {count > 0 ? t("chat.newMessages", { count }) : t("chat.newest")}
    </Button>
  );
}

/** Reads out what others write as it comes, and nothing that was there before. */
function Heard({ threadId }: { threadId: string | null }) {
  const { t } = useTranslation();
  const { room, myId, blocked } = useChat();
  const [said, setSaid] = useState<Message | null>(null);
  useEffect(
    () =>
      room.on("event", (frame) => {
        if (frame.type !== "new_message") return;
        const { message } = frame.data;
        const isHere = (message.content.threadId ?? null) === threadId;
        if (isHere && counts(message, myId, blocked)) setSaid(message);
      }),
    [room, myId, blocked, threadId],
  );
  return (
    <p aria-live="polite" className="sr-only" data-testid="heard">
      {said?.content.text ? t("chat.said", { name: said.sender.nickname, text: said.content.text }) : ""}
    </p>
  );
}
