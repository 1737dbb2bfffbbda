import type { TrackSource } from "@parlor/sdk";
import { useTranslation } from "react-i18next";
import { Alert } from "../ui.tsx";

/** To whom it happened: what the site's moderation stopped, and why. It stays, as the stop does. */
export function Moderated({ sources }: { sources: readonly TrackSource[] }) {
  const { t } = useTranslation();
  if (sources.length === 0) return null;
  return (
    <div className="grid gap-1 p-2" data-testid="moderated">
      {sources.map((source) => (
        <Alert key={source}>{t("call.moderated", { source: t(`call.${source}`) })}</Alert>
      ))}
    </div>
  );
}
