import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { parlor, useSession } from "../session.tsx";
import { Button } from "../ui.tsx";
import { PickPeople } from "./PickPeople.tsx";

/** The server's limit for a group, oneself not counted. */
const MOST = 9;

/** Writes to one person, or to several at once: a group then. */
export function NewMessage({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const { user } = useSession();
  const navigate = useNavigate();
  const [copied, setCopied] = useState(false);
  const link = `${location.origin}/u/${user?.id ?? ""}`;
  const copy = async () => {
    await navigator.clipboard?.writeText(link).then(
      () => setCopied(true),
      () => undefined,
    );
  };
  return (
    <PickPeople
      title={t("direct.new")}
      act={t("direct.write")}
      most={MOST}
      onPick={async (people) => {
        const [first, ...more] = people;
        if (!first) return;
        const { room } =
          more.length === 0
            ? await parlor.direct.open(first.userId)
            : await parlor.direct.group(people.map(({ userId }) => userId));
        await parlor.inbox.refresh().catch(() => undefined);
        await navigate(`/r/${room.id}`);
      }}
      onClose={onClose}
    >
      <div className="grid gap-2 rounded-xl bg-sunken p-3 text-sm">
        <p>{t("direct.linkHint")}</p>
        <div className="flex items-center gap-2">
          <input
            readOnly
            aria-label={t("direct.link")}
            className="field font-mono text-xs"
            value={link}
            onFocus={(event) => event.target.select()}
            data-testid="contact-link"
          />
          <Button tone="plain" onClick={() => void copy()} data-testid="contact-copy">
            {t(copied ? "direct.copied" : "direct.copy")}
          </Button>
        </div>
      </div>
    </PickPeople>
  );
}
