import i18next from "i18next";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

type Group = "events" | "labels" | "sampling";

/** A word of the server's as people say it; the word itself where the page knows no better. */
export function word(group: Group, name: string): string {
  const key = `review.${group}.${name}`;
  return i18next.exists(key) ? i18next.t(key as "review.title") : name;
}

const STEPS = [
  { unit: "day", s: 86_400 },
  { unit: "hour", s: 3_600 },
  { unit: "minute", s: 60 },
] as const;
const LOOKS_AGAIN_MS = 15_000;

/** Times as sentences, in the page's language; "3 minutes ago" goes on counting. */
export function useTimes() {
  const { i18n } = useTranslation();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), LOOKS_AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  const exact = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium", timeStyle: "medium" });
  const relative = new Intl.RelativeTimeFormat(i18n.language, { numeric: "auto" });
  return {
    at: (time: string) => exact.format(new Date(time)),
    ago: (time: string) => {
      const ageS = Math.max(0, (now - Date.parse(time)) / 1000);
      const step = STEPS.find(({ s }) => ageS >= s);
      return step ? relative.format(-Math.floor(ageS / step.s), step.unit) : relative.format(0, "second");
    },
  };
}

/** A length of time in its largest whole unit: "7 days". */
export function useDuration(): (seconds: number) => string {
  const { i18n } = useTranslation();
  return (seconds) => {
    const { unit, s } = STEPS.find((step) => seconds >= step.s) ?? { unit: "second", s: 1 };
    return new Intl.NumberFormat(i18n.language, { style: "unit", unit, unitDisplay: "long" }).format(
      Math.round(seconds / s),
    );
  };
}
