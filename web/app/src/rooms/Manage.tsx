import type { Standing } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { ArrowLeft } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { sentence } from "../errors.ts";
import { Hub } from "../hub/Hub.tsx";
import { useInbox, useMine } from "../hub/hooks.ts";
import { Enter } from "../pages/Enter.tsx";
import { NotFound } from "../pages/NotFound.tsx";
import { Safety } from "../safety/Safety.tsx";
import { parlor, useSession } from "../session.tsx";
import { Alert, Spinner } from "../ui.tsx";
import { Drawer } from "./Drawer.tsx";
import { isRefusal } from "./words.ts";

/** `/r/ID/about`: all about a room but its call, for rooms whose page is the call. */
export function Manage() {
  const { roomId = "" } = useParams();
  const { status } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <About key={roomId} roomId={roomId} /> : <Enter />;
}

function About({ roomId }: { roomId: string }) {
  const { t } = useTranslation();
  const { user } = useSession();
  const { ready } = useInbox();
  const mine = useMine(roomId);
  const [notice, setNotice] = useState<string | null>(null);
  const room = useQuery({ queryKey: ["room", roomId], queryFn: () => parlor.rooms.look(roomId) });
  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => setNotice(null), 8_000);
    return () => clearTimeout(timer);
  }, [notice]);
  if (isRefusal(room.error, "not_found", "bad_request")) return <NotFound />;
  if (room.error) return <Alert>{sentence(room.error)}</Alert>;
  if (!room.data || !ready) return <Spinner />;
  const who: Standing = { room: mine?.role ?? null, site: user?.role ?? "member" };
  return (
    <Hub title={room.data.name}>
      <Safety onNotice={setNotice}>
        <Link
          to={`/r/${roomId}`}
          className="mb-2 inline-flex min-h-11 items-center gap-2 font-medium text-accent hover:underline"
        >
          <ArrowLeft aria-hidden className="size-4" />
          {t("rooms.toRoom")}
        </Link>
        <h1 className="text-3xl font-bold wrap-anywhere">{room.data.name}</h1>
        <p role="status" className="min-h-6 text-soft" data-testid="notice">
          {notice}
        </p>
        <div className="mt-2 rounded-2xl border border-line bg-surface">
          <Drawer room={room.data} who={who} onNotice={setNotice} />
        </div>
      </Safety>
    </Hub>
  );
}
