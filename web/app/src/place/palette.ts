import type { Theme } from "@parlor/sdk";

/** Red, green and blue, each from 0 to 255. */
type Rgb = readonly [number, number, number];

/** The colours of app.css on which others are measured. */
const LIGHT = {
  ground: "#f6f6f9",
  surface: "#ffffff",
  sunken: "#ececf2",
  ink: "#17171f",
  soft: "#565666",
  danger: "#b32424",
  accent: "#4f46e5",
};
const DARK = {
  ground: "#111118",
  surface: "#1a1a23",
  sunken: "#24242f",
  ink: "#f1f1f6",
  soft: "#a9a9bb",
  danger: "#ff9a9a",
  accent: "#9c97ff",
};

/** What text needs (WCAG 2.2, 1.4.3). */
const LEAST = 4.5;
/** A ground on which neither light nor dark text has this much leaves no room for the softer kinds of text: it is not taken. */
const LEAST_OF_GROUND = 10;
const WHITE = "#ffffff";
const BLACK = "#000000";

export interface Palette {
  /** Whether light text stands on dark; null: as the device wishes. */
  dark: boolean | null;
  /** CSS variables that are set otherwise than in app.css. */
  colours: Record<string, string>;
}

/** A theme's colours as the page's own variables. What could not be read is moved until it can, or left as it was. */
export function paletteOf(theme: Theme, prefersDark: boolean): Palette {
  if (!theme.accent && !theme.background && !theme.text) return { dark: null, colours: {} };
  const ground = theme.background && carriesText(theme.background) ? theme.background : null;
  const dark = ground ? luminance(ground) < 0.18 : prefersDark;
  const base = dark ? DARK : LIGHT;
  const grounds = ground ? groundsOf(ground, dark) : base;
  const places = [grounds.ground, grounds.surface, grounds.sunken];
  const ink = theme.text && isLegible(theme.text, places) ? theme.text : base.ink;
  const wished = theme.accent ?? base.accent;
  const tint = mix(grounds.surface, wished, dark ? 0.2 : 0.1);
  const accent = legible(wished, [...places, tint], ink);
  const onAccent = contrast(WHITE, accent) >= contrast(BLACK, accent) ? WHITE : BLACK;
  return {
    dark: ground ? dark : null,
    colours: {
      "--color-ground": grounds.ground,
      "--color-surface": grounds.surface,
      "--color-sunken": grounds.sunken,
      "--color-line": ground ? mix(ground, ink, 0.18) : dark ? "#363645" : "#d7d7e0",
      "--color-ink": ink,
      "--color-soft": legible(ground || theme.text ? mix(ink, grounds.ground, 0.35) : base.soft, places, ink),
      "--color-accent": accent,
      "--color-accent-strong": mix(accent, onAccent === WHITE ? BLACK : WHITE, 0.15),
      "--color-on-accent": onAccent,
      "--color-tint": tint,
      "--color-danger-ink": legible(base.danger, places, ink),
    },
  };
}

/** How much two colours differ in brightness, from 1 to 21 (WCAG 2.2, contrast ratio). */
export function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function carriesText(ground: string): boolean {
  return Math.max(contrast(WHITE, ground), contrast(BLACK, ground)) >= LEAST_OF_GROUND;
}

function groundsOf(ground: string, dark: boolean) {
  return dark
    ? { ground, surface: mix(ground, WHITE, 0.05), sunken: mix(ground, WHITE, 0.1) }
    : { ground, surface: mix(ground, WHITE, 0.6), sunken: mix(ground, BLACK, 0.05) };
}

function isLegible(colour: string, places: readonly string[]): boolean {
  return places.every((place) => contrast(colour, place) >= LEAST);
}

/** The colour, moved towards the text's as far as it must be. */
function legible(colour: string, places: readonly string[], ink: string): string {
  for (let step = 0; step < 20; step++) {
    const moved = mix(colour, ink, step / 20);
    if (isLegible(moved, places)) return moved;
  }
  return ink;
}

function mix(one: string, other: string, part: number): string {
  const [a, b] = [rgbOf(one), rgbOf(other)];
  const signs = a.map((value, index) => Math.round(value + ((b[index] ?? 0) - value) * part));
  return `#${signs.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

function luminance(colour: string): number {
  const [red, green, blue] = rgbOf(colour).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function rgbOf(colour: string): Rgb {
  const value = Number.parseInt(colour.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}
