import type { Recording, RecordingFile } from "@parlor/sdk";
import type { TFunction } from "i18next";

type T = TFunction<"page">;

/** How much there is, as people read it: in thousands, as browsers and file managers show it. */
export function sizeText(t: T, bytes: number, locale: string): string {
  const [unit, divisor] =
    bytes >= 1e9
      ? (["gigabytes", 1e9] as const)
      : bytes >= 1e6
        ? (["megabytes", 1e6] as const)
        : (["kilobytes", 1e3] as const);
  const size = new Intl.NumberFormat(locale, { maximumFractionDigits: divisor === 1e3 ? 0 : 1 });
  return t(`recordings.${unit}`, { size: size.format(bytes / divisor) });
}

/** Who or what a file shows. */
export function fileText(t: T, { kind, nickname }: Pick<RecordingFile, "kind" | "nickname">): string {
  const name = nickname ?? t("recordings.somebody");
  if (kind === "composed") return t("recordings.composed");
  return kind === "screen" ? t("recordings.screenOf", { name }) : name;
}

/** How long a recording is: to its stop, or as far as its files reach. Null while nothing is known. */
export function lengthOf({ startedAt, endedAt, files }: Recording): number | null {
  if (startedAt && endedAt) return Math.max(0, Date.parse(endedAt) - Date.parse(startedAt));
  const ends = files.flatMap(({ startsAtMs, durationMs }) =>
    durationMs === null ? [] : [startsAtMs + durationMs],
  );
  return ends.length > 0 ? Math.max(...ends) : null;
}

/** Whether something of it still changes by itself. */
export function isMoving({ state, files, composed }: Recording): boolean {
  return (
    !["ready", "failed"].includes(state) ||
    files.some((file) => !["ready", "failed"].includes(file.state)) ||
    composed?.state === "queued" ||
    composed?.state === "running"
  );
}
