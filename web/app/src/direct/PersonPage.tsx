import { useMutation } from "@tanstack/react-query";
import { MessageCircle } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { sentence } from "../errors.ts";
import { Hub } from "../hub/Hub.tsx";
import { Enter } from "../pages/Enter.tsx";
import { NotHere } from "../place/Brand.tsx";
import { isOn } from "../place/place.ts";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Spinner } from "../ui.tsx";

/** `/u/ID`: somebody's link, by which strangers write to them. Who they are is not told before they take it. */
export function PersonPage() {
  const { t } = useTranslation();
  const { userId = "" } = useParams();
  const { status, user } = useSession();
  const navigate = useNavigate();
  const open = useMutation({
    mutationFn: () => parlor.direct.open(userId),
    onSuccess: async ({ room }) => {
      await parlor.inbox.refresh().catch(() => undefined);
      await navigate(`/r/${room.id}`, { replace: true });
    },
  });
  if (status === "loading") return <Spinner />;
  if (status === "out") return <Enter />;
  if (!isOn("directMessages"))
    return (
      <Hub title={t("direct.person")}>
        <NotHere />
      </Hub>
    );
  const self = user?.id === userId;
  return (
    <Hub title={t("direct.person")}>
      <div className="mx-auto grid max-w-md justify-items-start gap-4 rounded-2xl border border-line bg-surface p-6 shadow-sm">
        <MessageCircle aria-hidden className="size-10 text-accent" />
        <h1 className="text-2xl font-bold">{t("direct.person")}</h1>
        <p className="text-soft">{t(self ? "direct.personSelf" : "direct.personHint")}</p>
        {open.error ? <Alert>{sentence(open.error)}</Alert> : null}
        {self ? null : (
          <Button onClick={() => open.mutate()} disabled={open.isPending} data-testid="write-person">
            {t("direct.write")}
          </Button>
        )}
      </div>
    </Hub>
  );
}
