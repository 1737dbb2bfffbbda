import { Popover } from "radix-ui";
import { type KeyboardEvent, type ReactNode, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { emoji as names } from "./emoji.en.ts";

const ALL = Object.keys(names) as (keyof typeof names)[];
/** Emoji in a line of the grid. */
const COLUMNS = 8;
/** Kept in the browser: what was used lately. */
const RECENT = "parlor.emoji";

interface EmojiPickerProps {
  label: string;
  onPick: (emoji: string) => void;
  onOpenChange?: (open: boolean) => void;
  children: ReactNode;
}

/** Opens from its child: a field to search by name, and a grid that arrow keys walk through. */
export function EmojiPicker({ label, onPick, onOpenChange, children }: EmojiPickerProps) {
  const [open, setOpen] = useState(false);
  const become = (next: boolean) => {
    setOpen(next);
    onOpenChange?.(next);
  };
  return (
    <Popover.Root open={open} onOpenChange={become}>
      <Popover.Trigger asChild>{children}</Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          aria-label={label}
          sideOffset={6}
          collisionPadding={8}
          className="z-50 w-[19.5rem] max-w-[calc(100vw-1rem)] rounded-2xl border border-line bg-surface p-2 text-ink shadow-xl"
        >
          <Grid
            onPick={(emoji) => {
              remember(emoji);
              become(false);
              onPick(emoji);
            }}
          />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

function Grid({ onPick }: { onPick: (emoji: string) => void }) {
  const { t } = useTranslation();
  const [sought, setSought] = useState("");
  const [at, setAt] = useState(0);
  const grid = useRef<HTMLDivElement>(null);
  const id = useId();
  const shown = found(sought);
  const move = (next: number) => {
    const index = Math.max(0, Math.min(shown.length - 1, next));
    setAt(index);
    grid.current?.children[index]?.scrollIntoView({ block: "nearest" });
  };
  // The field keeps the focus: letters search, arrows choose.
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: COLUMNS,
      ArrowUp: -COLUMNS,
    };
    const step = steps[event.key];
    const chosen = shown[at];
    if (step) {
      event.preventDefault();
      move(at + step);
    } else if (event.key === "Enter" && chosen) {
      event.preventDefault();
      onPick(chosen);
    }
  };
  return (
    <>
      <input
        type="text"
        role="combobox"
        aria-expanded
        aria-controls={`${id}-grid`}
        aria-activedescendant={shown.length > 0 ? `${id}-${at}` : undefined}
        aria-label={t("chat.picker.search")}
        placeholder={t("chat.picker.search")}
        className="field mb-2"
        value={sought}
        onChange={(event) => {
          setSought(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
        data-testid="emoji-search"
      />
      <div
        ref={grid}
        id={`${id}-grid`}
        role="listbox"
        aria-label={t("chat.picker.title")}
        className="grid max-h-60 grid-cols-8 gap-0.5 overflow-y-auto"
      >
        {shown.map((emoji, index) => (
          <button
            key={emoji}
            id={`${id}-${index}`}
            type="button"
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            aria-label={t(`emoji.${emoji}`)}
            title={t(`emoji.${emoji}`)}
            onMouseEnter={() => setAt(index)}
            onClick={() => onPick(emoji)}
            className={`grid aspect-square place-items-center rounded-lg text-xl ${index === at ? "bg-sunken" : ""}`}
            data-testid="emoji"
            data-emoji={emoji}
          >
            {emoji}
          </button>
        ))}
      </div>
      {shown.length === 0 ? <p className="p-3 text-center text-soft">{t("chat.picker.none")}</p> : null}
    </>
  );
}

type Known = (typeof ALL)[number];

/** By name; without one, what was used lately comes first. */
function found(sought: string): Known[] {
  const words = sought.trim().toLowerCase();
  if (words) return ALL.filter((emoji) => names[emoji].includes(words) || emoji === words);
  const recent = recents();
  return [...recent, ...ALL.filter((emoji) => !recent.includes(emoji))];
}

/** The emoji that are offered at once. */
export function handy(): Known[] {
  return found("").slice(0, 3);
}

function recents(): Known[] {
  const kept = (localStorage.getItem(RECENT) ?? "").split(" ");
  return kept.filter((emoji): emoji is Known => emoji in names);
}

function remember(emoji: string): void {
  const kept = [emoji, ...recents().filter((other) => other !== emoji)].slice(0, COLUMNS);
  localStorage.setItem(RECENT, kept.join(" "));
}
