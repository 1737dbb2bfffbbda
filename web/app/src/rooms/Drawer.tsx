import { may, type RoomInfo, type Standing } from "@parlor/sdk";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Tabs } from "radix-ui";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { DirectAbout } from "../direct/DirectAbout.tsx";
import { Count } from "../hub/fields.tsx";
import { parlor } from "../session.tsx";
import { BansPanel } from "./BansPanel.tsx";
import { InvitesPanel } from "./InvitesPanel.tsx";
import { MembersPanel } from "./MembersPanel.tsx";
import { RequestsPanel } from "./RequestsPanel.tsx";
import { SettingsPanel } from "./SettingsPanel.tsx";

export interface PanelProps {
  room: RoomInfo;
  who: Standing;
  onNotice: (notice: string) => void;
}

type Tab = "people" | "invites" | "requests" | "bans" | "settings";

/** All about a room but its text: who is in it, ways in, order, settings. What the server would refuse is not there. */
export function Drawer(props: PanelProps) {
  const { room, who } = props;
  const { t } = useTranslation();
  const queries = useQueryClient();
  const requests = useQuery({
    queryKey: ["requests", room.id],
    queryFn: () => parlor.invites.requests(room.id),
    enabled: may(who, "AnswerRequests") && room.settings.joinRequests,
    refetchInterval: 15_000,
  });
  // Those who answer are told at once; what is asked for now and then finds what was missed.
  useEffect(
    () =>
      parlor.socket.on("frame", ({ roomId, type }) => {
        if (roomId === room.id && (type === "join_request" || type === "join_answered"))
          void queries.invalidateQueries({ queryKey: ["requests", room.id] });
      }),
    [queries, room.id],
  );
  if (room.kind === "dm" || room.kind === "groupDm") return <DirectAbout {...props} />;
  const open = room.archivedAt === null;
  const tabs: Tab[] = [
    "people",
    ...(open && may(who, "Invite", room.settings.permits) ? (["invites"] as const) : []),
    ...(open && may(who, "AnswerRequests") && room.settings.joinRequests ? (["requests"] as const) : []),
    ...(may(who, "RemoveMember") ? (["bans"] as const) : []),
    "settings",
  ];
  return (
    <Tabs.Root defaultValue="people" className="flex min-h-full flex-col">
      <Tabs.List aria-label={t("rooms.about")} className="flex flex-wrap gap-1 border-b border-line p-2">
        {tabs.map((tab) => (
          <Tabs.Trigger
            key={tab}
            value={tab}
            className="inline-flex min-h-11 items-center gap-2 rounded-lg px-3 text-sm font-medium text-soft hover:bg-sunken data-[state=active]:bg-tint data-[state=active]:text-ink"
            data-testid={`tab-${tab}`}
          >
            {t(`rooms.tab.${tab}`)}
            {tab === "requests" ? (
              <Count
                count={requests.data?.items.length ?? 0}
                loud
                label={t("rooms.requestCount", { count: requests.data?.items.length ?? 0 })}
              />
            ) : null}
          </Tabs.Trigger>
        ))}
      </Tabs.List>
      <Tabs.Content value="people" className={CONTENT}>
        <MembersPanel {...props} />
      </Tabs.Content>
      <Tabs.Content value="invites" className={CONTENT}>
        <InvitesPanel {...props} />
      </Tabs.Content>
      <Tabs.Content value="requests" className={CONTENT}>
        <RequestsPanel {...props} />
      </Tabs.Content>
      <Tabs.Content value="bans" className={CONTENT}>
        <BansPanel {...props} />
      </Tabs.Content>
      <Tabs.Content value="settings" className={CONTENT}>
        <SettingsPanel {...props} />
      </Tabs.Content>
    </Tabs.Root>
  );
}

const CONTENT = "min-h-0 flex-1 p-3 -outline-offset-3";
