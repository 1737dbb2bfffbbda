import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Button, Page } from "../ui.tsx";

export function NotFound() {
  const { t } = useTranslation();
  return <DeadEnd testId="not-found" title={t("notFound.title")} text={t("notFound.text")} />;
}

/** A page that says why there is nothing, and leads back. */
export function DeadEnd({ testId, title, text }: { testId: string; title: string; text: string }) {
  const { t } = useTranslation();
  return (
    <Page title={title}>
      <div data-testid={testId} className="grid justify-items-start gap-4">
        <h1 className="text-2xl font-bold">{title}</h1>
        <p className="text-soft">{text}</p>
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
