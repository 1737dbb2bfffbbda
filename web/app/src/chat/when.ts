import i18next from "i18next";

const DAY_MS = 86_400_000;

/** A time of day. */
export function clockOf(at: string, language: string): string {
  return new Intl.DateTimeFormat(language, { timeStyle: "short" }).format(new Date(at));
}

/** Day and time, as short as they can be said today. */
export function whenOf(at: string, language: string): string {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  const style = isToday
    ? { timeStyle: "short" as const }
    : { dateStyle: "medium" as const, timeStyle: "short" as const };
  return new Intl.DateTimeFormat(language, style).format(date);
}

/** A day by its name: today, yesterday, or the date. */
export function dayName(at: Date, language: string): string {
  const today = new Date();
  if (at.toDateString() === today.toDateString()) return i18next.t("chat.today");
  if (at.toDateString() === new Date(today.getTime() - DAY_MS).toDateString())
    return i18next.t("chat.yesterday");
  const isOfThisYear = at.getFullYear() === today.getFullYear();
  return new Intl.DateTimeFormat(language, {
    weekday: "long",
    day: "numeric",
    month: "long",
    ...(isOfThisYear ? {} : { year: "numeric" }),
  }).format(at);
}

/** A length of time that is counted down: 9 s, 4:05, 3 h, 2 d. */
export function spanText(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return seconds < 2 * 86_400 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}
