import type { Quality } from "@parlor/sdk";
import { Tooltip } from "radix-ui";
import { useTranslation } from "react-i18next";

const BARS = { excellent: 3, good: 2, poor: 1, lost: 0 } as const;
const COLORS = {
  excellent: "text-green-300",
  good: "text-amber-200",
  poor: "text-red-300",
  lost: "text-red-300",
} as const;

/** What a line is like, in words; `name`: whose it is, if not one's own. */
export function useQualityWords(quality: Quality | null, name: string | null): string {
  const { t } = useTranslation();
  if (!quality) return "";
  const level = t(`quality.${quality.level}`);
  if (!quality.reason || !quality.direction) return level;
  const key = `${quality.reason}_${quality.direction}` as const;
  const reason = name === null ? t(`quality.own.${key}`) : t(`quality.of.${key}`, { name });
  return t("quality.because", { level, reason });
}

/** How good a line is, as bars: three, two, one, or none and a stroke through. The words are its label, and shown when pointed at. */
export function Signal({ quality, name }: { quality: Quality | null; name: string | null }) {
  const words = useQualityWords(quality, name);
  if (!quality) return null;
  const bars = BARS[quality.level];
  return (
    <Tooltip.Root>
      <Tooltip.Trigger asChild>
        <span
          role="img"
          aria-label={words}
          data-testid="signal"
          data-level={quality.level}
          data-reason={quality.reason ?? undefined}
          data-direction={quality.direction ?? undefined}
          className={`absolute top-2 left-2 grid size-7 place-items-center rounded-lg bg-black/70 @max-[13rem]:top-1 @max-[13rem]:left-1 @max-[13rem]:size-6 ${COLORS[quality.level]}`}
        >
          <svg aria-hidden="true" viewBox="0 0 16 16" className="size-4">
            {[0, 1, 2].map((bar) => (
              <rect
                key={bar}
                x={1 + 5 * bar}
                y={10 - 4 * bar}
                width="4"
                height={5 + 4 * bar}
                rx="1"
                fill={bar < bars ? "currentColor" : "none"}
                stroke="currentColor"
                strokeOpacity={bar < bars ? 1 : 0.6}
              />
            ))}
            {quality.level === "lost" ? (
              <path d="M1 1 15 15" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
            ) : null}
          </svg>
        </span>
      </Tooltip.Trigger>
      {/* In the page's main part: at the end of the page it would be outside every landmark. */}
      <Tooltip.Portal container={document.getElementById("content")}>
        <Tooltip.Content
          sideOffset={6}
          collisionPadding={8}
          className="z-50 hidden max-w-72 rounded-lg bg-ink px-2 py-1 text-sm text-ground pointer-fine:block"
        >
          {words}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
