import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, type RefObject, useCallback, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { Avatar } from "./Avatar.tsx";
import { callable } from "./mentions.ts";
import { wanted } from "./text.ts";
import { useChat } from "./view.ts";

/** Names that are offered at once. */
const OFFERED = 8;

interface Offer {
  key: string;
  name: string;
  /** What it stands for, where it is no person's name. */
  hint: string | null;
  online: boolean;
}

interface ListProps {
  id: string;
  offers: Offer[];
  at: number;
  onPick: (offer: Offer) => void;
}

/** Offers names while one begins with `@`: arrows choose, Enter and Tab take, Escape leaves it. */
export function useCompletion(
  field: RefObject<HTMLTextAreaElement | null>,
  text: string,
  setText: (text: string) => void,
) {
  const [word, setWord] = useState<{ from: number; begin: string } | null>(null);
  const [at, setAt] = useState(0);
  const id = useId();
  const offers = useOffers(word?.begin ?? null);
  const isOpen = word !== null && offers.length > 0;

  const look = useCallback(() => {
    // After the change: the field has its new text and cursor by then.
    requestAnimationFrame(() => {
      const element = field.current;
      if (!element) return;
      setWord(wanted(element.value, element.selectionStart));
      setAt(0);
    });
  }, [field]);

  const pick = ({ name }: Offer) => {
    if (!word) return;
    const end = field.current?.selectionStart ?? text.length;
    const after = `${text.slice(0, word.from)}@${name} `;
    setText(after + text.slice(end).replace(/^ /, ""));
    setWord(null);
    requestAnimationFrame(() => {
      field.current?.focus();
      field.current?.setSelectionRange(after.length, after.length);
    });
  };

  /** True when the key was for the list. */
  const onKeyDown = (event: KeyboardEvent): boolean => {
    if (!isOpen) return false;
    const chosen = offers[Math.min(at, offers.length - 1)];
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step) setAt((at + step + offers.length) % offers.length);
    else if ((event.key === "Enter" || event.key === "Tab") && chosen) pick(chosen);
    else if (event.key === "Escape") setWord(null);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };

  const aria = {
    "aria-autocomplete": "list" as const,
    "aria-controls": isOpen ? id : undefined,
    "aria-activedescendant": isOpen ? `${id}-${at}` : undefined,
  };
  return {
    look,
    close: () => setWord(null),
    onKeyDown,
    aria,
    list: { id, offers: isOpen ? offers : [], at, onPick: pick },
  };
}

function useOffers(begin: string | null): Offer[] {
  const { t } = useTranslation();
  const { room, snapshot, myId, pins } = useChat();
  const { data = [] } = useQuery({
    queryKey: ["callable", room.id],
    queryFn: () => callable(snapshot.members, room),
    enabled: begin !== null && snapshot.info?.kind !== "match",
    staleTime: 30_000,
  });
  if (begin === null) return [];
  const people = data
    .filter(({ userId }) => userId !== myId)
    .map(({ userId, nickname, online }) => ({ key: userId, name: nickname, hint: null, online }));
  const all = pins
    ? [
        { key: "here", name: "here", hint: t("chat.everybodyHere"), online: true },
        { key: "room", name: "room", hint: t("chat.everybody"), online: true },
      ]
    : [];
  return [...people, ...all].filter(({ name }) => name.toLowerCase().startsWith(begin)).slice(0, OFFERED);
}

export function Completion({ id, offers, at, onPick }: ListProps) {
  const { t } = useTranslation();
  if (offers.length === 0) return null;
  return (
    <div
      id={id}
      role="listbox"
      aria-label={t("chat.completions")}
      className="absolute inset-x-3 bottom-full z-20 mb-1 max-h-72 overflow-y-auto rounded-xl border border-line bg-surface p-1 shadow-xl"
    >
      {offers.map((offer, index) => (
        <div
          key={offer.key}
          id={`${id}-${index}`}
          role="option"
          tabIndex={-1}
          aria-selected={index === at}
          // The field keeps the focus.
          onMouseDown={(event) => {
            event.preventDefault();
            onPick(offer);
          }}
          className={`flex min-h-10 cursor-pointer items-center gap-2 rounded-lg px-2 ${index === at ? "bg-sunken" : "hover:bg-sunken"}`}
          data-testid="completion"
        >
          {offer.hint ? (
            <span aria-hidden className="grid size-5 place-items-center font-semibold text-accent">
              @
            </span>
          ) : (
            <Avatar id={offer.key} name={offer.name} small />
          )}
          <span className="font-medium">{offer.name}</span>
          {offer.hint ? <span className="truncate text-sm text-soft">{offer.hint}</span> : null}
          {offer.online ? null : (
            <span aria-hidden className="ml-auto size-2 rounded-full border border-soft" />
          )}
        </div>
      ))}
    </div>
  );
}
