import { type Earned, ParlorError } from "@parlor/sdk";
import i18next, { type TFunction } from "i18next";
import { sentence } from "../errors.ts";

type T = TFunction<"page">;

/** Refusals that the page has its own words for; the server's sentence says more about all others. */
const OWN_WORDS = [
  "bad_credentials",
  "username_taken",
  "token_invalid",
  "mfa_required",
  "passkey_cancelled",
  "passkey_known",
  "underage",
  "proof_required",
  "too_many",
] as const;

/** What went wrong with an account, in plain words. */
export function accountWords(error: unknown): string {
  if (!(error instanceof ParlorError)) return sentence(error);
  if (error.code === "rate_limited" && error.retryAfterMs !== null)
    return i18next.t("account.errors.rate_limited", { count: Math.ceil(error.retryAfterMs / 1000) });
  const code = OWN_WORDS.find((it) => it === error.code);
  return code ? i18next.t(`account.errors.${code}`) : error.message;
}

/** One or two letters that stand for a name: of its first two parts, or its first two. */
export function initialsOf(name: string): string {
  const [first = "", second = ""] = name.split(/[_-]+/).filter(Boolean);
  return (second ? `${first[0]}${second[0]}` : first.slice(0, 2)).toUpperCase();
}

/** A colour for a name, always the same one: a number from 0 to `count` − 1. */
export function hueOf(name: string, count: number): number {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9_973;
  return sum % count;
}

/** What is missing for the next level of trust, as a sentence. */
export function trustText(t: T, { next }: Earned, locale: string): string {
  if (!next) return t("account.trustHighest");
  const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
  const parts = [
    next.days > 0 && t("account.trustDays", { count: next.days }),
    next.messages > 0 && t("account.trustMessages", { count: next.messages }),
    next.cleanAt && t("account.trustClean", { when: day.format(new Date(next.cleanAt)) }),
  ].filter((part) => typeof part === "string");
  const what = new Intl.ListFormat(locale).format(parts);
  return t("account.trustMissing", { level: t(`account.trust.${next.level}`), what });
}

/** A recovery code in groups of five, as it is easily copied by hand; the server reads it either way. */
export function grouped(code: string): string {
  return code.match(/.{1,5}/g)?.join("-") ?? code;
}

/** Hands a file to the browser's downloads. */
export function download(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser has begun to read it when the click returns; this only lets go of the address.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
