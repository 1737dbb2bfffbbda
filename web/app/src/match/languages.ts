/** The languages to choose from, beside the browser's own: the most spoken ones of the web. */
const OFFERED =
  "ar bg bn ca cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv ms nl no pl pt ro ru sk sl sr sv th tl tr uk ur vi zh".split(
    " ",
  );

/** The primary tag of a BCP 47 language, in lower case; null when it is none. */
export function primaryTag(language: string): string | null {
  const [tag = ""] = language.toLowerCase().split(/[-_]/);
  return /^[a-z]{2,3}$/.test(tag) ? tag : null;
}

/** What the browser speaks first; English when it does not say. */
export function defaultLanguage(languages: readonly string[]): string {
  return languages.map(primaryTag).find((tag) => tag !== null) ?? "en";
}

export interface Language {
  tag: string;
  name: string;
}

/** All that can be chosen, by the name that the page's language has for them. */
export function languagesIn(locale: string, spoken: readonly string[]): Language[] {
  const names = new Intl.DisplayNames(locale, { type: "language" });
  const tags = new Set([...OFFERED, ...spoken.flatMap((language) => primaryTag(language) ?? [])]);
  return [...tags]
    .map((tag) => ({ tag, name: names.of(tag) ?? tag }))
    .sort((a, b) => a.name.localeCompare(b.name, locale));
}
