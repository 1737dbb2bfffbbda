import type { Act, CaseAction, CaseDetails } from "@parlor/sdk";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Alert, Button, Field } from "../ui.tsx";
import { desk } from "./desk.ts";
import { useKeys } from "./keys.ts";
import { Section } from "./Section.tsx";

const ACTIONS = [
  { action: "dismiss", key: "d" },
  { action: "stopTrack", key: "t" },
  { action: "remove", key: "r" },
  { action: "ban", key: "b" },
  { action: "escalate", key: "e" },
] as const;

const DAY_S = 86_400;
const DURATIONS = [
  { name: "day", seconds: DAY_S },
  { name: "week", seconds: 7 * DAY_S },
  { name: "month", seconds: 30 * DAY_S },
  { name: "good", seconds: null },
] as const;

interface DecideProps {
  details: CaseDetails;
  /** Somebody else has the case. */
  locked: boolean;
  onDone: (action: CaseAction) => void;
}

/** What can be done about a case. Each action opens a form of its own: nobody is banned by one key. */
export function Decide({ details, locked, onDone }: DecideProps) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState<CaseAction | null>(null);
  const buttons = useRef<HTMLDivElement>(null);
  const impossible: Partial<Record<CaseAction, string>> = {
    ...(details.trackId || details.live ? {} : { stopTrack: t("review.decide.noTrack") }),
    ...(details.roomId ? {} : { remove: t("review.decide.noRoom") }),
  };
  const choose = (action: CaseAction) => {
    if (!locked && !impossible[action]) setChosen(action);
  };
  const cancel = () => {
    buttons.current?.querySelector<HTMLElement>(`[data-action=${chosen}]`)?.focus();
    setChosen(null);
  };
  useKeys(Object.fromEntries(ACTIONS.map(({ action, key }) => [key, () => choose(action)])));
  const problems = Object.values(impossible);

  return (
    <Section title={t("review.decide.title")}>
      <div ref={buttons} className="flex flex-wrap gap-2">
        {ACTIONS.map(({ action, key }) => (
          <Button
            key={action}
            tone={action === chosen ? "accent" : "plain"}
            aria-expanded={action === chosen}
            aria-keyshortcuts={key}
            disabled={locked || impossible[action] !== undefined}
            onClick={() => choose(action)}
            data-testid={`action-${action}`}
            data-action={action}
          >
            {t(`review.decide.${action}`)}
            <kbd
              aria-hidden
              className="hidden rounded-md border border-current px-1.5 text-xs pointer-fine:inline"
            >
              {key}
            </kbd>
          </Button>
        ))}
      </div>
      {problems.length > 0 && !locked ? <p className="mt-2 text-sm text-soft">{problems.join(" ")}</p> : null}
      {chosen && !locked ? (
        <ActForm key={chosen} action={chosen} details={details} onCancel={cancel} onDone={onDone} />
      ) : null}
    </Section>
  );
}

interface ActFormProps {
  action: CaseAction;
  details: CaseDetails;
  onCancel: () => void;
  onDone: (action: CaseAction) => void;
}

function ActForm({ action, details, onCancel, onDone }: ActFormProps) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const form = useRef<HTMLFormElement>(null);
  const [reason, setReason] = useState("");
  const [duration, setDuration] = useState<DurationName>("day");
  const [incomplete, setIncomplete] = useState(false);
  const { nickname } = details.subject;
  const act = useMutation({
    mutationFn: (what: Act) => desk.act(details.caseId, what),
    onSuccess: () => onDone(action),
    // Somebody else was first, perhaps: show what they did.
    onError: () => void queries.invalidateQueries({ queryKey: ["review"] }),
  });

  useEffect(() => form.current?.querySelector<HTMLElement>("[name=reason]")?.focus(), []);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const given = reason.trim();
    setIncomplete(!given);
    if (!given) {
      form.current?.querySelector<HTMLElement>("[name=reason]")?.focus();
      return;
    }
    const seconds = DURATIONS.find(({ name }) => name === duration)?.seconds;
    act.mutate({ action, reason: given, ...(action === "ban" && seconds ? { durationS: seconds } : {}) });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || event.nativeEvent.isComposing) return;
    event.preventDefault();
    onCancel();
  };

  return (
    <form
      ref={form}
      noValidate
      onSubmit={submit}
      onKeyDown={onKeyDown}
      aria-label={t(`review.decide.${action}`)}
      className="mt-4 grid gap-4 border-t border-line pt-4"
      data-testid="act"
      data-action={action}
    >
      <p className="text-soft">{t(`review.decide.hints.${action}`, { name: nickname })}</p>
      {action === "ban" ? <Durations value={duration} onChange={setDuration} /> : null}
      <Field
        name="reason"
        label={t("review.decide.reason")}
        value={reason}
        maxLength={500}
        autoComplete="off"
        error={incomplete && !reason.trim() ? t("review.decide.reasonNeeded") : undefined}
        onChange={(event) => setReason(event.target.value)}
        data-testid="reason"
      />
      <Picks action={action} onPick={setReason} />
      {act.error ? (
        <div data-testid="refused">
          <Alert>{sentence(act.error)}</Alert>
        </div>
      ) : null}
      <div className="flex flex-wrap justify-end gap-2">
        <Button tone="plain" onClick={onCancel} data-testid="cancel">
          {t("review.decide.cancel")}
        </Button>
        <Button
          type="submit"
          tone={action === "dismiss" || action === "escalate" ? "accent" : "danger"}
          disabled={act.isPending}
          data-testid="confirm"
        >
          {t(`review.decide.${action}`)}
        </Button>
      </div>
    </form>
  );
}

/** The reasons that are given most: a touch or a key instead of typing. */
function Picks({ action, onPick }: { action: CaseAction; onPick: (reason: string) => void }) {
  const { t } = useTranslation();
  const picks = {
    dismiss: [
      t("review.decide.reasons.dismiss.fine"),
      t("review.decide.reasons.dismiss.drawn"),
      t("review.decide.reasons.dismiss.mistaken"),
    ],
    escalate: [
      t("review.decide.reasons.escalate.unsure"),
      t("review.decide.reasons.escalate.law"),
      t("review.decide.reasons.escalate.danger"),
    ],
  };
  const against = [
    t("review.decide.reasons.act.sexual"),
    t("review.decide.reasons.act.harassment"),
    t("review.decide.reasons.act.hate"),
    t("review.decide.reasons.act.violence"),
    t("review.decide.reasons.act.underage"),
    t("review.decide.reasons.act.repeated"),
  ];
  const shown = action === "dismiss" || action === "escalate" ? picks[action] : against;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields, and these fill in another one.
    <div role="group" aria-label={t("review.decide.picks")} className="flex flex-wrap gap-2">
      {shown.map((reason) => (
        <Button
          key={reason}
          tone="plain"
          className="font-normal!"
          onClick={() => onPick(reason)}
          data-testid="pick"
        >
          {reason}
        </Button>
      ))}
    </div>
  );
}

type DurationName = (typeof DURATIONS)[number]["name"];

function Durations({ value, onChange }: { value: DurationName; onChange: (name: DurationName) => void }) {
  const { t } = useTranslation();
  const group = useId();
  return (
    <fieldset>
      <legend className="mb-1 font-medium">{t("review.decide.duration")}</legend>
      <div className="flex flex-wrap gap-2">
        {DURATIONS.map(({ name }) => (
          <label
            key={name}
            className="flex min-h-11 items-center gap-2 rounded-xl border border-line px-3 has-checked:border-accent has-checked:bg-tint"
          >
            <input
              type="radio"
              name={group}
              className="size-5 accent-accent"
              checked={value === name}
              onChange={() => onChange(name)}
              data-testid={`duration-${name}`}
            />
            {t(`review.decide.durations.${name}`)}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
