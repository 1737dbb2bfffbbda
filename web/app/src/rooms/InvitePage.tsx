import { useMutation } from "@tanstack/react-query";
import { DoorOpen } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate, useParams } from "react-router";
import { sentence } from "../errors.ts";
import { Enter } from "../pages/Enter.tsx";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Page, Spinner } from "../ui.tsx";

/** `/invite/CODE`: somebody has sent a link. Nothing happens before one says so: a link may be opened by chance. */
export function InvitePage() {
  const { t } = useTranslation();
  const { code = "" } = useParams();
  const { status } = useSession();
  const navigate = useNavigate();
  const accept = useMutation({
    mutationFn: () => parlor.invites.accept(code),
    onSuccess: async (room) => {
      await parlor.inbox.refresh().catch(() => undefined);
      await navigate(`/r/${room.id}`, { replace: true });
    },
  });
  if (status === "loading") return <Spinner />;
  if (status === "out") return <Enter />;
  return (
    <Page title={t("rooms.invited")}>
      <div className="mx-auto grid max-w-md justify-items-start gap-4 rounded-2xl border border-line bg-surface p-6 shadow-sm">
        <DoorOpen aria-hidden className="size-10 text-accent" />
        <h1 className="text-2xl font-bold">{t("rooms.invited")}</h1>
        <p className="text-soft">{t("rooms.invitedHint")}</p>
        {accept.error ? <Alert>{sentence(accept.error)}</Alert> : null}
        <div className="flex flex-wrap items-center gap-4">
          <Button onClick={() => accept.mutate()} disabled={accept.isPending} data-testid="accept-invite">
            {t("rooms.comeIn")}
          </Button>
          <Link
            to="/"
            className="inline-flex min-h-11 items-center font-semibold text-accent underline underline-offset-4"
          >
            {t("common.back")}
          </Link>
        </div>
      </div>
    </Page>
  );
}
