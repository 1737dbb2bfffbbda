import { useTranslation } from "react-i18next";
import { usePlace } from "./place.ts";

/** The sign of this place. */
export function Logo({ className }: { className: string }) {
  const place = usePlace();
  return <img src={place?.theme.logo ?? "/icon.svg"} alt="" className={`${className} object-contain`} />;
}

/** What this place is called. */
export function useName(): string {
  const { t } = useTranslation();
  return usePlace()?.name ?? t("app.name");
}

/** Said in place of what is not offered here. */
export function NotHere() {
  const { t } = useTranslation();
  return (
    <p className="rounded-2xl border border-dashed border-line p-8 text-center text-soft">{t("place.off")}</p>
  );
}
