import type { ReviewCase } from "@parlor/sdk";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

export function Badge({ className, children }: { className: string; children: ReactNode }) {
  return (
    <span className={`shrink-0 rounded-md px-2 py-0.5 text-sm font-medium ${className}`}>{children}</span>
  );
}

const PRIORITIES = {
  low: "bg-sunken text-ink",
  medium: "bg-sunken text-ink",
  high: "bg-warn-ground text-warn-ink",
  critical: "bg-danger text-white",
};

export function Priority({ priority }: { priority: ReviewCase["priority"] }) {
  const { t } = useTranslation();
  return <Badge className={PRIORITIES[priority]}>{t(`review.priorities.${priority}`)}</Badge>;
}

export function Live() {
  const { t } = useTranslation();
  return (
    <Badge className="ml-auto flex items-center gap-1.5 border border-line bg-surface">
      <span aria-hidden className="size-2 rounded-full bg-live" />
      {t("review.live")}
    </Badge>
  );
}
