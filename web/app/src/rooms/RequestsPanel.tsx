import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Disc } from "../hub/fields.tsx";
import { parlor } from "../session.tsx";
import { Alert, Button, Spinner } from "../ui.tsx";
import type { PanelProps } from "./Drawer.tsx";

/** Who asks to be let in. */
export function RequestsPanel({ room }: PanelProps) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const key = ["requests", room.id];
  const { data, error, isPending } = useQuery({
    queryKey: key,
    queryFn: () => parlor.invites.requests(room.id),
    refetchInterval: 5_000,
  });
  const answer = useMutation({
    mutationFn: ({ userId, letIn }: { userId: string; letIn: boolean }) =>
      parlor.invites.answer(room.id, userId, letIn),
    onSettled: () => queries.invalidateQueries({ queryKey: key }),
  });
  const problem = error ?? answer.error;
  return (
    <div className="grid gap-3">
      {problem ? <Alert>{sentence(problem)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {data?.items.length === 0 ? <p className="text-soft">{t("rooms.noRequests")}</p> : null}
      <ul className="grid gap-3">
        {data?.items.map(({ user, note }) => (
          <li
            key={user.userId}
            className="grid gap-3 rounded-xl border border-line p-3"
            data-testid="join-request"
            data-nickname={user.nickname}
          >
            <p className="flex items-center gap-3 font-medium">
              <Disc name={user.nickname} />
              {user.nickname}
            </p>
            {note ? <p className="whitespace-pre-wrap wrap-anywhere">{note}</p> : null}
            <div className="flex gap-2">
              <Button
                onClick={() => answer.mutate({ userId: user.userId, letIn: true })}
                disabled={answer.isPending}
                aria-label={t("rooms.letInOf", { name: user.nickname })}
                data-testid="let-in"
              >
                {t("rooms.letIn")}
              </Button>
              <Button
                tone="plain"
                onClick={() => answer.mutate({ userId: user.userId, letIn: false })}
                disabled={answer.isPending}
                aria-label={t("rooms.denyOf", { name: user.nickname })}
                data-testid="deny"
              >
                {t("rooms.deny")}
              </Button>
            </div>
          </li>
        ))}
      </ul>
    </div>
  );
}
