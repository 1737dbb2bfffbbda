import type { Wishes } from "@parlor/sdk";
import { MessageSquare, Video, X } from "lucide-react";
import { type FormEvent, type KeyboardEvent, useId, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { isOn } from "../place/place.ts";
import { BlockedDialog } from "../safety/BlockedDialog.tsx";
import { Alert, Button } from "../ui.tsx";
import { interestLength, LONGEST_INTEREST, MOST_INTERESTS, withInterests } from "./interests.ts";
import { languagesIn } from "./languages.ts";

interface SetupProps {
  wishes: Wishes;
  /** Why the server would not search. */
  problem: { code: string; message: string } | null;
  onWishes: (wishes: Wishes) => void;
  onStart: (wishes: Wishes) => void;
}

/** What one looks for, before the search. */
export function Setup({ wishes, problem, onWishes, onStart }: SetupProps) {
  const { t } = useTranslation();
  const [showBlocked, setShowBlocked] = useState(false);
  const [line, setLine] = useState("");
  const form = useRef<HTMLFormElement>(null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isTooLong(line)) {
      form.current?.querySelector<HTMLInputElement>("[aria-invalid]")?.focus();
      return;
    }
    // What is written is meant, with or without a last Enter.
    onStart({ ...wishes, interests: withInterests(wishes.interests, line) });
  };
  return (
    <form ref={form} onSubmit={submit} noValidate className="grid gap-5">
      <div>
        <h1 className="text-3xl font-bold">{t("match.title")}</h1>
        <p className="text-soft">{t("match.intro")}</p>
      </div>
      {isOn("video") ? <Mode wishes={wishes} onWishes={onWishes} /> : null}
      <Interests
        interests={wishes.interests}
        line={line}
        onLine={setLine}
        onInterests={(interests) => onWishes({ ...wishes, interests })}
      />
      <LanguageField
        language={wishes.language}
        onLanguage={(language) => onWishes({ ...wishes, language })}
      />
      <label className="flex min-h-11 items-start gap-3">
        <input
          type="checkbox"
          className="mt-0.5 size-6 shrink-0 accent-accent"
          checked={wishes.confirm}
          onChange={(event) => onWishes({ ...wishes, confirm: event.target.checked })}
          data-testid="confirm"
        />
        <span>
          <span className="block font-medium">{t("match.confirm")}</span>
          <span className="block text-sm text-soft">{t("match.confirmHint")}</span>
        </span>
      </label>
      {problem ? <Alert>{problem.message}</Alert> : null}
      <Button type="submit" className="min-h-12 text-lg" data-testid="start">
        {t("match.start")}
      </Button>
      <p className="text-sm text-soft">{t("match.tip")}</p>
      <Button
        tone="quiet"
        className="-ml-3 justify-self-start text-accent!"
        onClick={() => setShowBlocked(true)}
        data-testid="show-blocked"
      >
        {t("match.blocked")}
      </Button>
      {showBlocked ? <BlockedDialog onClose={() => setShowBlocked(false)} /> : null}
    </form>
  );
}

function Mode({ wishes, onWishes }: Pick<SetupProps, "wishes" | "onWishes">) {
  const { t } = useTranslation();
  const modes = [
    { value: "video", icon: Video, label: t("match.video"), hint: t("match.videoHint") },
    { value: "text", icon: MessageSquare, label: t("match.text"), hint: t("match.textHint") },
  ] as const;
  return (
    <fieldset className="grid grid-cols-2 gap-2">
      <legend className="mb-1 font-medium">{t("match.mode")}</legend>
      {modes.map(({ value, icon: Icon, label, hint }) => (
        <label
          key={value}
          className="flex min-h-14 items-center gap-3 rounded-xl border border-line px-3 py-2 has-checked:border-accent has-checked:bg-tint has-focus-visible:outline-3 has-focus-visible:outline-accent"
        >
          <input
            type="radio"
            name="mode"
            className="size-5 shrink-0 accent-accent"
            checked={wishes.mode === value}
            onChange={() => onWishes({ ...wishes, mode: value })}
            data-testid={`mode-${value}`}
          />
          <span className="min-w-0">
            <span className="flex items-center gap-2 font-medium">
              <Icon aria-hidden className="size-5 shrink-0" />
              {label}
            </span>
            <span className="block text-sm text-soft">{hint}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function isTooLong(line: string): boolean {
  return line.split(",").some((part) => interestLength(part) > LONGEST_INTEREST);
}

interface InterestsProps {
  interests: string[];
  /** What is being written. */
  line: string;
  onLine: (line: string) => void;
  onInterests: (interests: string[]) => void;
}

function Interests({ interests, line, onLine, onInterests }: InterestsProps) {
  const { t } = useTranslation();
  const id = useId();
  const full = interests.length >= MOST_INTERESTS;
  const tooLong = isTooLong(line);
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter ends an interest; in an empty field it is the form's, and starts.
    if ((event.key !== "Enter" && event.key !== ",") || event.nativeEvent.isComposing || !line.trim()) return;
    event.preventDefault();
    if (tooLong) return;
    onInterests(withInterests(interests, line));
    onLine("");
  };
  const note = tooLong
    ? t("match.interestLong", { count: LONGEST_INTEREST })
    : full
      ? t("match.interestsFull", { count: MOST_INTERESTS })
      : t("match.interestsHint", { count: MOST_INTERESTS });
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {t("match.interests")}
      </label>
      <input
        id={id}
        className="field"
        autoCapitalize="off"
        enterKeyHint="done"
        value={line}
        disabled={full}
        aria-invalid={tooLong || undefined}
        aria-describedby={`${id}-note`}
        onChange={(event) => onLine(event.target.value)}
        onKeyDown={onKeyDown}
        data-testid="interests"
      />
      <p id={`${id}-note`} className={`text-sm ${tooLong ? "text-danger-ink" : "text-soft"}`}>
        {note}
      </p>
      {interests.length > 0 ? (
        <ul aria-label={t("match.chosenInterests")} className="mt-1 flex flex-wrap gap-2">
          {interests.map((interest) => (
            <li key={interest} className="max-w-full">
              <button
                type="button"
                className="inline-flex min-h-11 max-w-full items-center gap-2 rounded-full bg-tint px-4 font-medium hover:bg-sunken"
                aria-label={t("match.removeInterest", { name: interest })}
                onClick={() => onInterests(interests.filter((other) => other !== interest))}
                data-testid="interest"
              >
                <span className="truncate">{interest}</span>
                <X aria-hidden className="size-4 shrink-0" />
              </button>
            </li>
          ))}
        </ul>
      ) : null}
    </div>
  );
}

function LanguageField({
  language,
  onLanguage,
}: {
  language: string | null;
  onLanguage: (language: string | null) => void;
}) {
  const { t, i18n } = useTranslation();
  const id = useId();
  const languages = useMemo(() => languagesIn(i18n.language, navigator.languages), [i18n.language]);
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {t("match.language")}
      </label>
      <select
        id={id}
        className="field"
        value={language ?? ""}
        onChange={(event) => onLanguage(event.target.value || null)}
        data-testid="language"
      >
        <option value="">{t("match.anyLanguage")}</option>
        {languages.map(({ tag, name }) => (
          <option key={tag} value={tag}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}
