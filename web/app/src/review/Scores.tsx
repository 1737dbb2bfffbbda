import { useTranslation } from "react-i18next";

interface ScoresProps {
  /** Probabilities by label. */
  scores: Record<string, number>;
  /** The one that made the case. */
  label: string | null;
  /** From which probability on that one counts. */
  threshold: number | null;
}

/** What the classifier thought: every label's probability as a bar and a number. */
export function Scores({ scores, label, threshold }: ScoresProps) {
  const { t, i18n } = useTranslation();
  const percent = new Intl.NumberFormat(i18n.language, { style: "percent", maximumFractionDigits: 1 });
  const sorted = Object.entries(scores).sort(([, a], [, b]) => b - a);
  return (
    <ul aria-label={t("review.evidence.scores")} className="grid gap-1.5" data-testid="scores">
      {sorted.map(([name, probability]) => {
        const counts = name === label;
        return (
          <li
            key={name}
            className="grid grid-cols-[5rem_minmax(0,1fr)_3.5rem] items-center gap-x-2"
            data-testid="score"
            data-label={name}
          >
            <span className={`truncate ${counts ? "font-semibold" : ""}`}>{name}</span>
            <span aria-hidden className="relative h-3 rounded-full bg-sunken">
              <span
                className={`absolute inset-y-0 left-0 rounded-full ${counts ? "bg-danger" : "bg-soft"}`}
                style={{ width: `${Math.min(Math.max(probability, 0), 1) * 100}%` }}
              />
              {counts && threshold !== null ? (
                <span className="absolute -inset-y-1 w-0.5 bg-ink" style={{ left: `${threshold * 100}%` }} />
              ) : null}
            </span>
            <span className="text-right tabular-nums">{percent.format(probability)}</span>
            {counts && threshold !== null ? (
              <span className="col-span-3 text-right text-sm text-soft" data-testid="threshold">
                {t("review.evidence.threshold", { value: percent.format(threshold) })}
              </span>
            ) : null}
          </li>
        );
      })}
    </ul>
  );
}
