import { useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Disc } from "../hub/fields.tsx";
import { Hub } from "../hub/Hub.tsx";
import { Enter } from "../pages/Enter.tsx";
import { useBlocking, useBlocks } from "../safety/blocks.ts";
import { useSession } from "../session.tsx";
import { Alert, Button, Spinner } from "../ui.tsx";
import { Back } from "./Requests.tsx";

/** `/blocked`: whom one has blocked, each with a way back. */
export function Blocked() {
  const { status } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <List /> : <Enter />;
}

function List() {
  const { t, i18n } = useTranslation();
  const { blocks, error, isPending } = useBlocks();
  const setBlocked = useBlocking();
  const [problem, setProblem] = useState<unknown>(null);
  const day = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium" });
  const failed = error ?? problem;
  return (
    <Hub title={t("safety.blockedTitle")}>
      <Back />
      <h1 className="mb-3 text-3xl font-bold">{t("safety.blockedTitle")}</h1>
      <p className="mb-5 text-soft">{t("direct.blockedHint")}</p>
      {failed ? <Alert>{sentence(failed)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {!isPending && !error && blocks.length === 0 ? (
        <p className="rounded-2xl border border-dashed border-line p-8 text-center text-soft">
          {t("safety.noneBlocked")}
        </p>
      ) : null}
      <ul className="grid grid-cols-1 gap-2">
        {blocks.map(({ userId, nickname, at }) => (
          <li
            key={userId}
            className="flex items-center gap-3 rounded-xl border border-line bg-surface p-3"
            data-testid="blocked"
            data-nickname={nickname}
          >
            <Disc name={nickname} />
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
    </Hub>
  );
}
