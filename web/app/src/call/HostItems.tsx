import type { Participant, TrackSource } from "@parlor/sdk";
import { DropdownMenu } from "radix-ui";
import { useTranslation } from "react-i18next";
import { MENU_ITEM } from "../ui.tsx";
import { useHostTools } from "./hosting.ts";

const PICTURES = ["camera", "screen"] as const satisfies TrackSource[];

/** What a host may do to somebody in the call, as items of a menu about them. */
export function HostItems({ participant }: { participant: Participant }) {
  const { t } = useTranslation();
  const tools = useHostTools();
  const rights = tools?.rights(participant.userId);
  if (!tools || !rights?.mute) return null;
  const { call, snapshot, act } = tools;
  const { participantId, userId, disabled } = participant;
  const spotlit = snapshot.controls.spotlight === participantId;
  return (
    <>
      <DropdownMenu.Item
        className={MENU_ITEM}
        onSelect={() => act(call.hosting.spotlight(spotlit ? null : participantId))}
        data-testid="spotlight"
      >
        {t(spotlit ? "host.unspotlight" : "host.spotlight")}
      </DropdownMenu.Item>
      {PICTURES.map((source) => (
        <DropdownMenu.Item
          key={source}
          className={MENU_ITEM}
          onSelect={() => act(call.hosting.disable({ userId }, source, !disabled.includes(source)))}
          data-testid={`disable-${source}`}
        >
          {t(`host.${disabled.includes(source) ? "enable" : "disable"}.${source}`)}
        </DropdownMenu.Item>
      ))}
      {rights.remove ? (
        <DropdownMenu.Item
          className={`${MENU_ITEM} text-danger-ink`}
          onSelect={() => act(call.hosting.remove(userId))}
          data-testid="remove-from-call"
        >
          {t("host.remove")}
        </DropdownMenu.Item>
      ) : null}
      <DropdownMenu.Separator className="mx-2 my-1 h-px bg-line" />
    </>
  );
}
