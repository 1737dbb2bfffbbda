import type { NewPoll } from "@parlor/sdk";
import { Plus, X } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button, Dialog, Field, IconButton } from "../ui.tsx";

/** The server's limits. */
const ANSWERS = 10;
const QUESTION = 300;
const ANSWER = 100;
const ENDS = { h1: 3_600, d1: 86_400, w1: 604_800 } as const;

/** Asks a question with answers to choose from. */
export function PollDialog({ onAsk, onClose }: { onAsk: (poll: NewPoll) => void; onClose: () => void }) {
  const { t } = useTranslation();
  const [question, setQuestion] = useState("");
  const [answers, setAnswers] = useState(["", ""]);
  const [multiple, setMultiple] = useState(false);
  const [ends, setEnds] = useState<keyof typeof ENDS | "never">("never");
  const id = useId();
  const texts = answers.map((text) => text.trim()).filter((text) => text !== "");
  const isWhole = question.trim() !== "" && texts.length >= 2 && new Set(texts).size === texts.length;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!isWhole) return;
    const closesAt = ends === "never" ? null : new Date(Date.now() + ENDS[ends] * 1_000).toISOString();
    onAsk({ question: question.trim(), options: texts.map((text) => ({ text })), multiple, closesAt });
    onClose();
  };
  return (
    <Dialog title={t("chat.poll.title")} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-4">
        <Field
          label={t("chat.poll.question")}
          value={question}
          maxLength={QUESTION}
          onChange={(event) => setQuestion(event.target.value)}
          data-testid="poll-question"
        />
        <div className="grid gap-2">
          {answers.map((answer, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: an answer is its place.
            <div key={index} className="flex items-center gap-1">
              <input
                className="field"
                aria-label={t("chat.poll.answer", { count: index + 1 })}
                placeholder={t("chat.poll.answer", { count: index + 1 })}
                value={answer}
                maxLength={ANSWER}
                onChange={(event) => setAnswers(answers.with(index, event.target.value))}
                data-testid="poll-answer"
              />
              {answers.length > 2 ? (
                <IconButton
                  label={t("chat.poll.removeAnswer", { count: index + 1 })}
                  onClick={() => setAnswers(answers.toSpliced(index, 1))}
                >
                  <X aria-hidden className="size-4" />
                </IconButton>
              ) : null}
            </div>
          ))}
          {answers.length < ANSWERS ? (
            <Button
              tone="quiet"
              className="justify-self-start text-accent!"
              onClick={() => setAnswers([...answers, ""])}
            >
              <Plus aria-hidden className="size-4" />
              {t("chat.poll.addAnswer")}
            </Button>
          ) : null}
        </div>
        <label className="flex min-h-11 items-center gap-3">
          <input
            type="checkbox"
            className="size-5 accent-accent"
            checked={multiple}
            onChange={(event) => setMultiple(event.target.checked)}
          />
          {t("chat.poll.multiple")}
        </label>
        <div className="flex items-center gap-3">
          <label htmlFor={`${id}-ends`} className="font-medium">
            {t("chat.poll.closes")}
          </label>
          <select
            id={`${id}-ends`}
            className="field"
            value={ends}
            onChange={(event) => setEnds(event.target.value as typeof ends)}
          >
            <option value="never">{t("chat.poll.never")}</option>
            {(Object.keys(ENDS) as (keyof typeof ENDS)[]).map((span) => (
              <option key={span} value={span}>
                {t(`chat.spans.${span}`)}
              </option>
            ))}
          </select>
        </div>
        <Button type="submit" disabled={!isWhole} data-testid="poll-submit">
          {t("chat.poll.submit")}
        </Button>
      </form>
    </Dialog>
  );
}
