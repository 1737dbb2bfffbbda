import { may } from "@parlor/sdk";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Archive, ArchiveRestore, LogOut, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { sentence } from "../errors.ts";
import { useMine } from "../hub/hooks.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, Dialog } from "../ui.tsx";
import type { PanelProps } from "./Drawer.tsx";

type End = "leave" | "archive" | "delete";

/** Leaving the room, putting it away, deleting it: each asked once more. */
export function Ends({ room, who, onNotice }: PanelProps) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const mine = useMine(room.id);
  const [asked, setAsked] = useState<End | null>(null);
  const archived = room.archivedAt !== null;
  const refresh = async () => {
    await queries.invalidateQueries({ queryKey: ["room", room.id] });
    await parlor.inbox.refresh().catch(() => undefined);
  };
  const end = useMutation({
    mutationFn: async (what: End | "restore") => {
      if (what === "leave") await parlor.rooms.leave(room.id);
      else if (what === "delete") await parlor.rooms.delete(room.id);
      else await parlor.rooms.archive(room.id, what === "archive");
      return what;
    },
    onSuccess: async (what) => {
      setAsked(null);
      if (what === "leave" || what === "delete") await navigate("/");
      else onNotice(t(what === "archive" ? "rooms.archived" : "rooms.restored"));
      await refresh();
    },
  });
  const owns = mine?.role === "owner";
  return (
    <section aria-label={t("rooms.ends")} className="grid gap-2 border-t border-line pt-4">
      {mine && !owns ? (
        <Button tone="plain" onClick={() => setAsked("leave")} data-testid="leave-room">
          <LogOut aria-hidden className="size-5" />
          {t("rooms.end.leave.act")}
        </Button>
      ) : null}
      {may(who, "ArchiveRoom") ? (
        archived ? (
          <Button
            tone="plain"
            disabled={end.isPending}
            onClick={() => end.mutate("restore")}
            data-testid="restore-room"
          >
            <ArchiveRestore aria-hidden className="size-5" />
            {t("rooms.restore")}
          </Button>
        ) : (
          <Button tone="plain" onClick={() => setAsked("archive")} data-testid="archive-room">
            <Archive aria-hidden className="size-5" />
            {t("rooms.end.archive.act")}
          </Button>
        )
      ) : null}
      {may(who, "DeleteRoom") ? (
        <Button
          tone="plain"
          className="text-danger-ink!"
          onClick={() => setAsked("delete")}
          data-testid="delete-room"
        >
          <Trash2 aria-hidden className="size-5" />
          {t("rooms.end.delete.act")}
        </Button>
      ) : null}
      {end.error && !asked ? <Alert>{sentence(end.error)}</Alert> : null}
      {asked ? (
        <Dialog title={t(`rooms.end.${asked}.title`, { name: room.name })} onClose={() => setAsked(null)}>
          <div className="grid gap-4">
            <p>{t(`rooms.end.${asked}.hint`)}</p>
            {end.error ? <Alert>{sentence(end.error)}</Alert> : null}
            <div className="flex justify-end gap-2">
              <Button tone="plain" onClick={() => setAsked(null)}>
                {t("common.cancel")}
              </Button>
              <Button
                tone="danger"
                disabled={end.isPending}
                onClick={() => end.mutate(asked)}
                data-testid="end-confirm"
              >
                {t(`rooms.end.${asked}.act`)}
              </Button>
            </div>
          </div>
        </Dialog>
      ) : null}
    </section>
  );
}
