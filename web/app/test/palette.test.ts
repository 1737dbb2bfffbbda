import { expect, test } from "vitest";
import { contrast, paletteOf } from "../src/place/palette.ts";

const none = { accent: null, background: null, text: null, logo: null };

/** Every pair that is text on a ground somewhere in the page. */
function pairs(colours: Record<string, string>): [string, string, string][] {
  const grounds = ["ground", "surface", "sunken"];
  const texts = ["ink", "soft", "accent", "danger-ink"];
  const on = (text: string, ground: string): [string, string, string] => [
    `${text} on ${ground}`,
    colours[`--color-${text}`] ?? "",
    colours[`--color-${ground}`] ?? "",
  ];
  return [
    ...texts.flatMap((text) => grounds.map((ground) => on(text, ground))),
    on("ink", "tint"),
    on("accent", "tint"),
    on("on-accent", "accent"),
    on("on-accent", "accent-strong"),
  ];
}

test("a place without colours of its own looks as it did", () => {
  expect(paletteOf(none, true)).toEqual({ dark: null, colours: {} });
});

test("whatever colours an operator chooses, what is written can be read", () => {
  const some = [null, "#ff0050", "#ffff00", "#0000ff", "#777777", "#101014", "#fff8e7", "#ffffff", "#000000"];
  for (const accent of some)
    for (const background of some)
      for (const text of some)
        for (const prefersDark of [false, true]) {
          const { colours } = paletteOf({ accent, background, text, logo: null }, prefersDark);
          if (Object.keys(colours).length === 0) continue;
          for (const [what, one, other] of pairs(colours))
            expect(contrast(one, other), `${what} of ${accent} ${background} ${text}`).toBeGreaterThanOrEqual(
              4.5,
            );
        }
});

test("colours that can be read stay as they are, and a dark ground makes a dark page", () => {
  const theme = { accent: "#ff7aa2", background: "#101014", text: "#ffffff", logo: null };
  const { dark, colours } = paletteOf(theme, false);
  expect(dark).toBe(true);
  expect(colours).toMatchObject({
    "--color-ground": "#101014",
    "--color-ink": "#ffffff",
    "--color-accent": "#ff7aa2",
    "--color-on-accent": "#000000",
  });
});

test("a ground that carries no text is not taken, nor text that nobody could read", () => {
  const { dark, colours } = paletteOf({ ...none, background: "#777777", text: "#eeeeee" }, false);
  expect(dark).toBeNull();
  expect(colours).toMatchObject({ "--color-ground": "#f6f6f9", "--color-ink": "#17171f" });
});
