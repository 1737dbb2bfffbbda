import { Hourglass } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button, Page } from "../ui.tsx";

/** At the door: nothing of the call is seen or heard from here. */
export function WaitingRoom({ name, onLeave }: { name: string; onLeave: () => void }) {
  const { t } = useTranslation();
  return (
    <Page title={name}>
      <div className="grid justify-items-start gap-5" data-testid="waiting">
        <Hourglass aria-hidden className="size-10 text-accent" />
        <h1 className="text-3xl font-bold wrap-anywhere">{name}</h1>
        <p role="status" className="text-lg">
          {t("host.youWait")}
        </p>
        <Button tone="plain" onClick={onLeave} data-testid="stop-waiting">
          {t("host.stopWaiting")}
        </Button>
      </div>
    </Page>
  );
}
