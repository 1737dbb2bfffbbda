import { TriangleAlert } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useSampling } from "./desk.ts";
import { word } from "./words.ts";

/** Says that pictures go unseen, and why: a quiet desk must not be taken for a peaceful house. */
export function SamplingBanner() {
  const { t } = useTranslation();
  const { data } = useSampling();
  const state = data?.state ?? "unknown";
  return (
    <div role="status" data-testid="sampling" data-state={state}>
      {data && state !== "ok" ? (
        <div className="flex gap-3 bg-warn-ground px-4 py-2 text-warn-ink">
          <TriangleAlert aria-hidden className="mt-0.5 size-5 shrink-0" />
          <div className="min-w-0 wrap-anywhere">
            <p className="font-semibold">
              {t(state === "off" ? "review.sampling.off" : "review.sampling.degraded")}
            </p>
            <ul>
              {data.reasons.map((reason) => (
                <li key={reason}>{word("sampling", reason)}</li>
              ))}
            </ul>
            <p data-testid="unsampled">
              {t("review.sampling.unsampledTracks", { count: data.unsampledTracks })}
            </p>
          </div>
        </div>
      ) : null}
    </div>
  );
}
