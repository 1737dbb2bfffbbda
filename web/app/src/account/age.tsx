import { useId } from "react";
import { useTranslation } from "react-i18next";
import { Field } from "../ui.tsx";

export type AgeProblem = "birthYear" | "adult";

/** What is wrong with the year of birth and what goes with it; nothing, if null. */
export function ageProblem(fields: FormData): AgeProblem | null {
  const { birthYear, adult } = ageOf(fields);
  if (birthYear < 1900 || birthYear > new Date().getFullYear()) return "birthYear";
  return adult ? null : "adult";
}

export function ageOf(fields: FormData): { birthYear: number; adult: boolean } {
  return { birthYear: Number(fields.get("birthYear")), adult: fields.has("adult") };
}

/** How old somebody is, as far as the server asks. */
export function AgeFields({ problem }: { problem: AgeProblem | null }) {
  const { t } = useTranslation();
  const note = useId();
  const wrong = problem === "adult";
  return (
    <>
      <Field
        label={t("enter.birthYear")}
        error={problem === "birthYear" ? t("enter.badYear") : undefined}
        name="birthYear"
        inputMode="numeric"
        autoComplete="bday-year"
        maxLength={4}
        data-testid="birth-year"
      />
      <div>
        <label className="flex min-h-11 items-center gap-3">
          <input
            type="checkbox"
            name="adult"
            className="size-6 accent-accent"
            aria-describedby={wrong ? note : undefined}
            data-testid="adult"
          />
          {t("enter.adult")}
        </label>
        {wrong ? (
          <p id={note} className="text-sm text-danger-ink">
            {t("enter.needAdult")}
          </p>
        ) : null}
      </div>
    </>
  );
}
