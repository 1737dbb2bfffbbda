import { useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Alert, Button, Dialog, Spinner } from "../ui.tsx";
import { useBlocking, useBlocks } from "./blocks.ts";

/** Whom one has blocked, each with a way back. */
export function BlockedDialog({ onClose }: { onClose: () => void }) {
  const { t, i18n } = useTranslation();
  const { blocks, error, isPending } = useBlocks();
  const setBlocked = useBlocking();
  const [problem, setProblem] = useState<unknown>(null);
  const day = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium" });
  const failed = error ?? problem;
  return (
    <Dialog title={t("safety.blockedTitle")} onClose={onClose}>
      {failed ? <Alert>{sentence(failed)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {!isPending && !error && blocks.length === 0 ? (
        <p className="text-soft">{t("safety.noneBlocked")}</p>
      ) : null}
      <ul className="grid gap-1">
        {blocks.map(({ userId, nickname, at }) => (
          <li key={userId} className="flex items-center gap-3" data-testid="blocked" data-nickname={nickname}>
            <p className="min-w-0 flex-1">
              <span className="block truncate font-medium">{nickname}</span>
              <span className="text-sm text-soft">
                {t("safety.blockedSince", { when: day.format(new Date(at)) })}
              </span>
            </p>
            <Button
              tone="plain"
              aria-label={t("safety.unblockOf", { name: nickname })}
              onClick={() => void setBlocked(userId, false).catch(setProblem)}
              data-testid="unblock"
            >
              {t("safety.unblock")}
            </Button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
