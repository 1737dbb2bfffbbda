import type { ShareMode } from "@parlor/sdk";
import { MonitorUp } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Capture, LocalMedia } from "./media.ts";

const MODES: readonly ShareMode[] = ["detail", "motion"];

/** While the screen is shared: that it is, and what it is shared for. */
export function ShareBar({ media, capture }: { media: LocalMedia; capture: Capture }) {
  const { t } = useTranslation();
  if (!capture.screen) return null;
  return (
    <fieldset className="flex shrink-0 flex-wrap items-center justify-center gap-x-3 border-t border-line bg-surface px-2 text-sm">
      <legend className="sr-only">{t("call.shareFor")}</legend>
      <MonitorUp aria-hidden className="size-4 text-soft" />
      <span className="text-soft">{t(capture.screenAudio ? "call.sharingSoundFor" : "call.sharingFor")}</span>
      {MODES.map((mode) => (
        <label key={mode} className="flex min-h-11 cursor-pointer items-center gap-2">
          <input
            type="radio"
            name="share-mode"
            className="size-4 accent-accent"
            checked={capture.shareMode === mode}
            onChange={() => media.chooseShareMode(mode)}
            data-testid={`share-${mode}`}
          />
          {t(`call.shareMode.${mode}`)}
        </label>
      ))}
    </fieldset>
  );
}
