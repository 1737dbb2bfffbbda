import type { Message } from "@parlor/sdk";
import { isJumbo, partsOf } from "./text.ts";
import { useChat } from "./view.ts";

/** A message's words: addresses lead somewhere, names and hashtags stand out. Nothing in it is markup. */
export function RichText({ message: { content } }: { message: Message }) {
  const { names, myName, search } = useChat();
  const { mentions, text } = content;
  const ids = mentions?.users ?? [];
  const known = ids.flatMap((id) => names.get(id)?.toLowerCase() ?? []);
  const parts = partsOf(text, {
    names: new Set(known),
    others: known.length < ids.length,
    here: mentions?.here ?? false,
    room: mentions?.room ?? false,
    myName,
  });
  return (
    <span className={isJumbo(text) ? "text-4xl leading-tight" : undefined} data-testid="text">
      {parts.map((part, index) => {
        const key = `${index} ${part.text}`;
        switch (part.kind) {
          case "link":
            return (
              <a
                key={key}
                href={part.href}
                target="_blank"
                rel="noreferrer noopener nofollow ugc"
                className="text-accent underline underline-offset-2"
              >
                {part.text}
              </a>
            );
          case "mention":
            return (
              <span
                key={key}
                data-testid="mention"
                className={`rounded-sm px-0.5 font-medium ${part.me ? "bg-warn-ground text-warn-ink" : "bg-tint text-accent"}`}
              >
                {part.text}
              </span>
            );
          case "tag":
            return (
              <button
                key={key}
                type="button"
                className="text-accent hover:underline"
                onClick={() => search(part.text)}
              >
                {part.text}
              </button>
            );
          default:
            return part.text;
        }
      })}
    </span>
  );
}
