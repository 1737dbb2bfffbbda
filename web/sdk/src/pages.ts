import type { Archive, MessagePage } from "./archive.js";
import type { Message, ServerFrame } from "./proto.js";
import { after, applied, before, known, PAGE, short, type Timeline, visiting } from "./timeline.js";

/** Events about messages that are there: these may overtake a page that was read before them. */
const CHANGES: readonly string[] = [
  "message_edited",
  "message_deleted",
  "reaction",
  "message_pinned",
  "poll_voted",
  "thread_changed",
];

/** Where the timeline is kept. */
export interface View {
  timeline: Timeline;
}

/** Turns the pages of a room's history: back, forward again, around a message, and those of a thread. */
export class Pages {
  readonly #archive: Archive;
  readonly #view: View;
  /** Events that came while a page was on its way: it may have been read before them. */
  #meanwhile: ServerFrame[] = [];
  #fetching = 0;
  /** Grows with each fresh state: what was asked for before it may be older. */
  #era = 0;
  /** Grows with each wish to look elsewhere: the last one counts, whatever comes first. */
  #wish = 0;

  constructor(archive: Archive, view: View) {
    this.#archive = archive;
    this.#view = view;
  }

  follow(frame: ServerFrame): void {
    if (this.#fetching > 0 && CHANGES.includes(frame.type)) this.#meanwhile.push(frame);
  }

  /** A fresh state has come: events before it are in it. */
  renew(): void {
    this.#era++;
    this.#meanwhile = [];
  }

  /** For who looks at the newest: what is far above is let go, and fetched again once it is wanted. */
  settle(): void {
    const { timeline } = this.#view;
    const settled = short(timeline);
    if (settled !== timeline) this.#view.timeline = settled;
  }

  /** Older messages of what is looked at. */
  async older(): Promise<void> {
    const { visited, latest } = this.#view.timeline;
    const [first] = (visited ?? latest).messages;
    if (!first) return;
    await this.#fetch({ before: first.id }, (timeline, page, more) => {
      const stretch = timeline.visited ?? timeline.latest;
      if (stretch.messages[0]?.id !== first.id) return timeline;
      const longer = before(stretch, page, more);
      return timeline.visited ? { ...timeline, visited: longer } : { ...timeline, latest: longer };
    });
  }

  /** Newer messages, for who looks at the past. */
  async newer(): Promise<void> {
    const last = this.#view.timeline.visited?.messages.at(-1);
    if (!last) return;
    await this.#fetch({ after: last.id }, (timeline, page, more) =>
      timeline.visited?.messages.at(-1)?.id === last.id ? after(timeline, page, more) : timeline,
    );
  }

  /** Looks at a message, wherever in the past it is. False when somebody wanted to look elsewhere before it came. */
  async visit(messageId: string): Promise<boolean> {
    const wish = ++this.#wish;
    const { visited, latest } = this.#view.timeline;
    const isIt = ({ id }: Message) => id === messageId;
    if ((visited ?? latest).messages.some(isIt)) return true;
    if (latest.messages.some(isIt)) {
      this.newest();
      return true;
    }
    await this.#fetch({ around: messageId }, (timeline, page) =>
      wish === this.#wish ? visiting(timeline, page) : timeline,
    );
    return wish === this.#wish;
  }

  newest(): void {
    this.#wish++;
    const { timeline } = this.#view;
    if (timeline.visited) this.#view.timeline = { ...timeline, visited: null };
  }

  async openThread(rootId: string): Promise<void> {
    const root = known(this.#view.timeline, rootId);
    const thread = { rootId, root, messages: [], hasOlder: true, hasNewer: false };
    this.#view.timeline = { ...this.#view.timeline, thread };
    await this.olderInThread();
    if (root) return;
    const found = await this.#archive.message(rootId);
    const { thread: open } = this.#view.timeline;
    if (open?.rootId === rootId)
      this.#view.timeline = { ...this.#view.timeline, thread: { ...open, root: found } };
  }

  closeThread(): void {
    this.#view.timeline = { ...this.#view.timeline, thread: null };
  }

  async olderInThread(): Promise<void> {
    const { thread } = this.#view.timeline;
    if (!thread) return;
    const { rootId } = thread;
    const first = thread.messages[0]?.id;
    await this.#fetch({ thread: rootId, ...(first ? { before: first } : {}) }, (timeline, page, more) =>
      timeline.thread?.rootId === rootId && (!first || timeline.thread.messages[0]?.id === first)
        ? // The history of a thread may begin with the message that it hangs on.
          {
            ...timeline,
            thread: before(
              timeline.thread,
              page.filter(({ id }) => id !== rootId),
              more,
            ),
          }
        : timeline,
    );
  }

  async #fetch(
    which: Parameters<Archive["page"]>[0],
    join: (timeline: Timeline, page: Message[], more: boolean) => Timeline,
  ): Promise<void> {
    this.#fetching++;
    try {
      const { messages, next } = await this.#fresh(which);
      let timeline = join(this.#view.timeline, messages, next !== null);
      for (const frame of this.#meanwhile) timeline = applied(timeline, frame, null);
      this.#view.timeline = timeline;
    } finally {
      if (--this.#fetching === 0) this.#meanwhile = [];
    }
  }

  /** A page that is no older than the state that it is put to. */
  async #fresh(which: Parameters<Archive["page"]>[0]): Promise<MessagePage> {
    for (;;) {
      const era = this.#era;
      const page = await this.#archive.page({ ...which, limit: PAGE });
      if (era === this.#era) return page;
    }
  }
}
