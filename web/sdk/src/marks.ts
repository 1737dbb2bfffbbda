import type { Archive } from "./archive.js";
import type { Message, ServerFrame } from "./proto.js";

/** Kinds of reactions of one message that are asked about; a message rarely has more. */
const KINDS = 6;
/** A reaction of more people than one page names is not asked about: it is found out by the first click. */
const NAMED = 100;

/**
 * What one has put to messages oneself: reactions and votes. A message says how many there are, not whose; this asks for what is
 * looked at, one message after the other, and then follows the events.
 */
export class Marks {
  readonly #archive: Archive;
  readonly #changed: () => void;
  readonly #reactions = new Map<string, ReadonlySet<string>>();
  readonly #votes = new Map<string, readonly number[]>();
  readonly #asked = new Set<string>();
  /** Reactions that were told since: an answer may have been read before. */
  readonly #told = new Set<string>();
  #work: Promise<unknown> = Promise.resolve();
  #era = 0;

  constructor(archive: Archive, changed: () => void) {
    this.#archive = archive;
    this.#changed = changed;
  }

  reactions(messageId: string): ReadonlySet<string> {
    return this.#reactions.get(messageId) ?? NONE;
  }

  /** Null as long as it is not known. */
  votes(messageId: string): readonly number[] | null {
    return this.#votes.get(messageId) ?? null;
  }

  /** Finds out what one has put to this message, if that is not known yet. */
  look(message: Message, myId: string): void {
    const { id, content, reactions } = message;
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    const kinds = Object.entries(reactions ?? {}).filter(([, count]) => count <= NAMED);
    const isVoted = content.poll !== undefined && content.poll.voters > 0;
    // Nobody has put anything to it, so oneself has not; whatever comes is told. Else all who look would ask at each click.
    if (kinds.length === 0 && !isVoted) return;
    const era = this.#era;
    const isLate = () => era !== this.#era;
    this.#work = this.#work
      .then(async () => {
        if (isLate()) return;
        const chosen = isVoted ? (await this.#archive.results(id)).options : null;
        if (chosen && !isLate() && !this.#votes.has(id)) this.#votes.set(id, chosen);
        for (const [emoji] of kinds.slice(0, KINDS)) {
          if (isLate()) return;
          const people = await this.#archive.reactors(id, emoji);
          const isMine = people.some((one) => one.id === myId);
          if (isMine && !isLate() && !this.#told.has(`${id} ${emoji}`)) this.#put(id, emoji, true);
        }
        this.#changed();
      })
      // Not known is not wrong: the next look asks again.
      .catch(() => void this.#asked.delete(id));
  }

  /** Something may have been missed: all of it is asked for again once it is looked at. */
  forget(): void {
    this.#era++;
    for (const known of [this.#asked, this.#told, this.#reactions, this.#votes]) known.clear();
  }

  /** True when the event tells of oneself. */
  follow(frame: ServerFrame, myId: string): boolean {
    if (frame.type !== "reaction" || frame.data.userId !== myId) return false;
    const { messageId, emoji, added } = frame.data;
    this.#told.add(`${messageId} ${emoji}`);
    this.#put(messageId, emoji, added);
    return true;
  }

  react(messageId: string, emoji: string, on: boolean): void {
    this.#told.add(`${messageId} ${emoji}`);
    this.#put(messageId, emoji, on);
    this.#changed();
  }

  vote(messageId: string, options: readonly number[]): void {
    this.#votes.set(messageId, options);
    this.#changed();
  }

  #put(messageId: string, emoji: string, on: boolean): void {
    const mine = new Set(this.#reactions.get(messageId));
    if (on) mine.add(emoji);
    else mine.delete(emoji);
    this.#reactions.set(messageId, mine);
  }
}

const NONE: ReadonlySet<string> = new Set();
