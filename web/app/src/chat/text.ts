/** A piece of a message's text. */
export type Part =
  | { kind: "text"; text: string }
  | { kind: "link"; text: string; href: string }
  | { kind: "mention"; text: string; me: boolean }
  | { kind: "tag"; text: string };

/** Whom a message calls, for who reads it. */
export interface Called {
  /** Names of those who are called, in small letters. */
  names: ReadonlySet<string>;
  /** Somebody is called whose name is not known here: any name may be theirs. */
  others: boolean;
  here: boolean;
  room: boolean;
  myName: string;
}

const PIECE =
  /(https?:\/\/[^\s<>"]+)|(?<![\p{L}\p{N}_@])@([A-Za-z0-9_-]{2,50})|(?<![\p{L}\p{N}_#&])#([\p{L}\p{N}_]+)/gu;
/** What ends a sentence rather than an address. */
const TAIL = /[.,;:!?'"\])}]+$/;

/** Splits a text into what is shown in its own way. The text itself is never markup. */
export function partsOf(text: string, called: Called): Part[] {
  const parts: Part[] = [];
  let end = 0;
  const plain = (until: number) => {
    if (until > end) parts.push({ kind: "text", text: text.slice(end, until) });
  };
  for (const found of text.matchAll(PIECE)) {
    const [whole, link, name, tag] = found;
    const part = link ? linkOf(link) : name ? mentionOf(name, called) : tag ? tagOf(whole) : null;
    if (!part) continue;
    plain(found.index);
    parts.push(part);
    end = found.index + part.text.length;
  }
  plain(text.length);
  return parts;
}

/** The first address in a text. */
export function linkIn(text: string): string | null {
  for (const [, link] of text.matchAll(PIECE)) {
    const part = link ? linkOf(link) : null;
    if (part?.kind === "link") return part.href;
  }
  return null;
}

function linkOf(link: string): Part | null {
  // A bracket that was opened inside of the address belongs to it.
  let text = link.replace(TAIL, "");
  if (text.includes("(") && link.slice(text.length).startsWith(")")) text += ")";
  return URL.canParse(text) ? { kind: "link", text, href: new URL(text).href } : null;
}

function mentionOf(name: string, { names, others, here, room, myName }: Called): Part | null {
  const small = name.toLowerCase();
  const text = `@${name}`;
  if ((small === "here" && here) || (small === "room" && room)) return { kind: "mention", text, me: true };
  if (!names.has(small) && !others) return null;
  return { kind: "mention", text, me: small === myName.toLowerCase() && names.has(small) };
}

function tagOf(text: string): Part | null {
  return /\p{L}/u.test(text) ? { kind: "tag", text } : null;
}

/** Whether a text is nothing but a few emoji, which are then shown large. */
export function isJumbo(text: string): boolean {
  const trimmed = text.trim();
  if (
    trimmed === "" ||
    trimmed.length > 40 ||
    !/^[\p{Extended_Pictographic}\p{Emoji_Component}\s]+$/u.test(trimmed)
  )
    return false;
  if (/^[\d#*\s]+$/.test(trimmed)) return false;
  const signs = [...new Intl.Segmenter().segment(trimmed.replaceAll(/\s/g, ""))];
  return signs.length <= 3;
}

/** The word before the cursor that begins with `@`, while it is being written. */
export function wanted(text: string, cursor: number): { from: number; begin: string } | null {
  const found = /(?:^|[\s(])@([A-Za-z0-9_-]*)$/.exec(text.slice(0, cursor));
  if (!found || found[1] === undefined) return null;
  return { from: cursor - found[1].length - 1, begin: found[1].toLowerCase() };
}

/** Names written with `@` in a text, in small letters. */
export function namesIn(text: string): Set<string> {
  return new Set([...text.matchAll(PIECE)].flatMap(([, , name]) => (name ? [name.toLowerCase()] : [])));
}
