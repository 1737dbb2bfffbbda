import type { Message, Poll } from "@parlor/sdk";
import { Check } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "../ui.tsx";
import { useChat } from "./view.ts";
import { whenOf } from "./when.ts";

/** A question: its answers to choose from, and what was chosen so far. */
export function PollView({ message, poll }: { message: Message; poll: Poll }) {
  const { t, i18n } = useTranslation();
  const { room, myId, act, mayWrite } = useChat();
  const mine = room.marks.votes(message.id) ?? [];
  const [chosen, setChosen] = useState<readonly number[] | null>(null);
  const isClosed = useIsOver(poll.closesAt);
  useEffect(() => room.marks.look(message, myId), [room, message, myId]);
  const picked = chosen ?? mine;
  const vote = (options: number[]) => {
    setChosen(null);
    void act(() => room.acts.vote(message.id, options));
  };
  const pick = (index: number) => {
    if (!poll.multiple) return vote(mine.includes(index) ? [] : [index]);
    setChosen(picked.includes(index) ? picked.filter((it) => it !== index) : [...picked, index].sort());
  };
  const about = [
    t("chat.poll.voters", { count: poll.voters }),
    ...(poll.multiple ? [t("chat.poll.several")] : []),
    ...(isClosed
      ? [t("chat.poll.closed")]
      : poll.closesAt
        ? [t("chat.poll.closesAt", { when: whenOf(poll.closesAt, i18n.language) })]
        : []),
  ];
  return (
    <fieldset
      className="mt-1 w-full max-w-md rounded-2xl border border-line bg-surface p-3"
      disabled={isClosed || !mayWrite}
      data-testid="poll"
    >
      <legend className="sr-only">{poll.question}</legend>
      <p aria-hidden className="mb-2 font-semibold wrap-anywhere">
        {poll.question}
      </p>
      <div className="grid gap-1.5">
        {poll.options.map((option, index) => (
          <Answer
            key={option.text}
            text={option.text}
            votes={option.votes}
            percent={poll.voters > 0 ? Math.round((option.votes / poll.voters) * 100) : 0}
            picked={picked.includes(index)}
            multiple={poll.multiple}
            onPick={() => pick(index)}
          />
        ))}
      </div>
      <div className="mt-2 flex flex-wrap items-center justify-between gap-2">
        <p className="text-sm text-soft">{about.join(" · ")}</p>
        {chosen !== null ? (
          <Button className="min-h-9 px-3 text-sm" onClick={() => vote([...picked])} data-testid="vote">
            {t("chat.poll.vote")}
          </Button>
        ) : null}
      </div>
    </fieldset>
  );
}

interface AnswerProps {
  text: string;
  votes: number;
  percent: number;
  picked: boolean;
  multiple: boolean;
  onPick: () => void;
}

function Answer({ text, votes, percent, picked, multiple, onPick }: AnswerProps) {
  const { t } = useTranslation();
  return (
    <button
      type="button"
      aria-pressed={picked}
      aria-label={t("chat.poll.result", { text, count: votes, percent })}
      onClick={onPick}
      className={`relative min-h-10 w-full overflow-hidden rounded-xl border px-3 py-1.5 text-left enabled:hover:border-accent pointer-coarse:min-h-11 ${picked ? "border-accent" : "border-line"}`}
      data-testid="answer"
    >
      <span aria-hidden className="absolute inset-y-0 left-0 bg-tint" style={{ width: `${percent}%` }} />
      <span className="relative flex items-center gap-2">
        <span
          aria-hidden
          className={`grid size-5 shrink-0 place-items-center border-2 ${multiple ? "rounded-md" : "rounded-full"} ${picked ? "border-accent bg-accent text-on-accent" : "border-soft"}`}
        >
          {picked ? <Check className="size-3.5" strokeWidth={3} /> : null}
        </span>
        <span className="min-w-0 flex-1 wrap-anywhere">{text}</span>
        <span className="shrink-0 text-sm text-soft tabular-nums">
          {votes} · {percent} %
        </span>
      </span>
    </button>
  );
}

/** Whether a moment has passed; changes by itself when it does. */
function useIsOver(at: string | null): boolean {
  const [over, setOver] = useState(() => at !== null && Date.parse(at) <= Date.now());
  useEffect(() => {
    if (at === null) return setOver(false);
    const left = Date.parse(at) - Date.now();
    setOver(left <= 0);
    // Browsers do not wait for longer than 24 days.
    if (left <= 0 || left > 2 ** 31 - 1) return;
    const timer = setTimeout(() => setOver(true), left);
    return () => clearTimeout(timer);
  }, [at]);
  return over;
}
