import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Button, Page } from "../ui.tsx";

export function NotFound() {
  const { t } = useTranslation();
  return (
    <Page title={t("notFound.title")}>
      <div data-testid="not-found" className="grid justify-items-start gap-4">
        <h1 className="text-2xl font-bold">{t("notFound.title")}</h1>
        <p className="text-soft">{t("notFound.text")}</p>
        <Link
          to="/"
          className="inline-flex min-h-11 items-center font-semibold text-accent underline underline-offset-4"
        >
          {t("common.back")}
        </Link>
      </div>
    </Page>
  );
}

export function Broken() {
  const { t } = useTranslation();
  return (
    <Page title={t("error.title")}>
      <div role="alert" className="grid justify-items-start gap-4">
        <h1 className="text-2xl font-bold">{t("error.title")}</h1>
        <p className="text-soft">{t("error.text")}</p>
        <Button onClick={() => location.reload()}>{t("error.reload")}</Button>
      </div>
    </Page>
  );
}
