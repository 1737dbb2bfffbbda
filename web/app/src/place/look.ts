import type { Theme } from "@parlor/sdk";
import { paletteOf } from "./palette.ts";

/** Gives the page the colours of its place, in whichever light the device is. Set by script: the page's policy has no styles in it. */
export function wear(theme: Theme): void {
  const wish = matchMedia("(prefers-color-scheme: dark)");
  const put = () => {
    const { dark, colours } = paletteOf(theme, wish.matches);
    for (const [name, colour] of Object.entries(colours))
      document.documentElement.style.setProperty(name, colour);
    if (dark !== null) force(dark);
    const ground = colours["--color-ground"];
    if (!ground) return;
    for (const meta of document.querySelectorAll<HTMLMetaElement>("meta[name=theme-color]"))
      meta.content = ground;
  };
  // What is forced once is no longer found by what the device wishes.
  put();
  wish.addEventListener("change", put);
}

/** A place with a ground of its own is light or dark whatever the device wishes: the rules for the dark hold always, or never. */
function force(dark: boolean): void {
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  for (const sheet of document.styleSheets) forceIn(sheet.cssRules, dark ? "all" : "not all");
}

function forceIn(rules: CSSRuleList, when: string): void {
  for (const rule of rules) {
    if (rule instanceof CSSMediaRule && rule.conditionText.includes("prefers-color-scheme: dark"))
      rule.media.mediaText = when;
    else if (rule instanceof CSSGroupingRule) forceIn(rule.cssRules, when);
  }
}
