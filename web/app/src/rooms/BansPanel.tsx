import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Disc } from "../hub/fields.tsx";
import { parlor } from "../session.tsx";
import { Alert, Button, Spinner } from "../ui.tsx";
import type { PanelProps } from "./Drawer.tsx";

/** Who may not come back. */
export function BansPanel({ room }: PanelProps) {
  const { t, i18n } = useTranslation();
  const queries = useQueryClient();
  const when = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium", timeStyle: "short" });
  const key = ["bans", room.id];
  const { data, error, isPending } = useQuery({ queryKey: key, queryFn: () => parlor.members.bans(room.id) });
  const readmit = useMutation({
    mutationFn: (userId: string) => parlor.members.unban(room.id, userId),
    onSettled: () => queries.invalidateQueries({ queryKey: key }),
  });
  const problem = error ?? readmit.error;
  return (
    <div className="grid gap-3">
      {problem ? <Alert>{sentence(problem)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {data?.items.length === 0 ? <p className="text-soft">{t("rooms.noBans")}</p> : null}
      <ul className="grid gap-2">
        {data?.items.map(({ userId, nickname, reason, until }) => (
          <li
            key={userId}
            className="flex flex-wrap items-center gap-3 rounded-xl border border-line p-3"
            data-testid="outcast"
            data-nickname={nickname}
          >
            <Disc name={nickname} />
            <p className="min-w-0 flex-1">
              <span className="block truncate font-medium">{nickname}</span>
              <span className="block text-sm wrap-anywhere text-soft">
                {until ? t("rooms.until", { when: when.format(new Date(until)) }) : t("rooms.forGood")}
                {reason ? ` · ${reason}` : ""}
              </span>
            </p>
            <Button
              tone="plain"
              disabled={readmit.isPending}
              aria-label={t("rooms.readmitOf", { name: nickname })}
              onClick={() => readmit.mutate(userId)}
              data-testid="readmit"
            >
              {t("rooms.readmit")}
            </Button>
          </li>
        ))}
      </ul>
    </div>
  );
}
