import type { Login } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { Laptop, Smartphone } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useAct } from "../account/act.ts";
import { useRefresh } from "../account/me.ts";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Spinner } from "../ui.tsx";
import { Badge, Done, Section } from "./parts.tsx";

/** Where one is signed in, by device. */
export function Logins() {
  const { t } = useTranslation();
  const { leave } = useSession();
  const refresh = useRefresh();
  const { data } = useQuery({
    queryKey: ["logins"],
    queryFn: () => parlor.accounts.logins(),
    refetchInterval: 30_000,
  });
  const { busy, refusal, run } = useAct();
  const [done, setDone] = useState<string | null>(null);
  const nameOf = ({ device }: Login) => device ?? t("account.unknownDevice");
  const end = async (login: Login) => {
    if (!(await run(() => parlor.accounts.endLogin(login.sessionId)))) return;
    setDone(t("settings.security.ended", { device: nameOf(login) }));
    await refresh("logins");
  };
  const endOthers = async () => {
    if (!(await run(() => parlor.accounts.endOtherLogins()))) return false;
    setDone(t("settings.security.othersEnded"));
    await refresh("logins");
    return true;
  };
  const endAll = async () => {
    if (await endOthers()) await leave();
  };
  return (
    <Section
      title={t("settings.security.devices")}
      intro={t("settings.security.devicesIntro")}
      testId="logins"
    >
      {data ? (
        <ul className="grid gap-2">
          {data.map((login) => (
            <LoginItem key={login.sessionId} login={login} busy={busy} onEnd={() => void end(login)} />
          ))}
        </ul>
      ) : (
        <Spinner />
      )}
      {refusal ? <Alert>{refusal}</Alert> : null}
      <Done>{done}</Done>
      <div className="flex flex-wrap gap-2">
        {data && data.length > 1 ? (
          <Button tone="plain" disabled={busy} onClick={() => void endOthers()} data-testid="end-others">
            {t("settings.security.endOthers")}
          </Button>
        ) : null}
        <Button tone="plain" disabled={busy} onClick={() => void endAll()} data-testid="end-all">
          {t("settings.security.endAll")}
        </Button>
      </div>
    </Section>
  );
}

function LoginItem({ login, busy, onEnd }: { login: Login; busy: boolean; onEnd: () => void }) {
  const { t, i18n } = useTranslation();
  const moment = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium", timeStyle: "short" });
  const device = login.device ?? t("account.unknownDevice");
  const since = moment.format(new Date(login.createdAt));
  const Icon = /Android|iPhone|iPad/.test(device) ? Smartphone : Laptop;
  return (
    <li
      className="flex flex-wrap items-center gap-x-3 gap-y-2 rounded-xl border border-line px-4 py-3"
      data-testid="login"
      data-current={login.current}
    >
      <Icon aria-hidden className="size-5 shrink-0 text-soft" />
      <div className="min-w-0 flex-1 basis-48">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1 font-medium">
          {device}
          {login.current ? <Badge on>{t("settings.security.thisDevice")}</Badge> : null}
          {login.secondFactor ? <Badge on={false}>{t("settings.security.withSecond")}</Badge> : null}
        </p>
        <p className="text-sm text-soft">
          {t("settings.security.since", { when: since })},{" "}
          {t("settings.security.active", { when: moment.format(new Date(login.lastUsedAt)) })}
        </p>
      </div>
      {login.current ? null : (
        <Button
          tone="plain"
          aria-label={t("settings.security.endOf", { device, when: since })}
          disabled={busy}
          onClick={onEnd}
          data-testid="login-end"
        >
          {t("settings.security.end")}
        </Button>
      )}
    </li>
  );
}
