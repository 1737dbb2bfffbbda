import "./app.css";
import "./i18n.ts";
import { clusterOf } from "@parlor/sdk";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { Tooltip } from "radix-ui";
import { type ComponentType, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createBrowserRouter, Navigate } from "react-router";
import { RouterProvider } from "react-router/dom";
import { AccountMenu } from "./account/AccountMenu.tsx";
import { Banners } from "./account/Banners.tsx";
import { Frame } from "./hub/Frame.tsx";
import { Home } from "./pages/Home.tsx";
import { Broken, NotFound } from "./pages/NotFound.tsx";
import { wear } from "./place/look.ts";
import { setPlace } from "./place/place.ts";
import { parlor, SessionProvider } from "./session.tsx";
import { PageEnds, Spinner } from "./ui.tsx";

const queries = new QueryClient({
  defaultOptions: { queries: { retry: 1, staleTime: 5_000 } },
});

// The call's code is fetched when a room is opened, not on the way in.
const room = async () => ({ Component: (await import("./pages/RoomPage.tsx")).RoomPage });
const roomCall = async () => ({ Component: (await import("./ringing/RoomCall.tsx")).RoomCall });
const about = async () => ({ Component: (await import("./rooms/Manage.tsx")).Manage });
const claim = async () => ({ Component: (await import("./pages/Claim.tsx")).Claim });
const match = async () => ({ Component: (await import("./match/MatchPage.tsx")).MatchPage });
const recordings = async () => ({
  Component: (await import("./recordings/RecordingsPage.tsx")).RecordingsPage,
});
const review = async () => ({ Component: (await import("./review/ReviewPage.tsx")).ReviewPage });

const settings = async () => ({ Component: (await import("./settings/SettingsPage.tsx")).SettingsPage });

const page = (path: string, lazy: () => Promise<{ Component: ComponentType }>) => ({
  path,
  lazy,
  hydrateFallbackElement: <Spinner />,
  errorElement: <Broken />,
});

const router = createBrowserRouter([
  {
    element: <Frame />,
    children: [
      { path: "/", element: <Home />, errorElement: <Broken /> },
      page("/r/:roomId", room),
      page("/r/:roomId/call", roomCall),
      page("/r/:roomId/about", about),
      page("/rooms", async () => ({ Component: (await import("./rooms/Directory.tsx")).Directory })),
      page("/invite/:code", async () => ({ Component: (await import("./rooms/InvitePage.tsx")).InvitePage })),
      page("/messages", async () => ({ Component: (await import("./direct/Messages.tsx")).Messages })),
      page("/messages/requests", async () => ({
        Component: (await import("./direct/Requests.tsx")).Requests,
      })),
      page("/blocked", async () => ({ Component: (await import("./direct/Blocked.tsx")).Blocked })),
      page("/u/:userId", async () => ({ Component: (await import("./direct/PersonPage.tsx")).PersonPage })),
      page("/calls", async () => ({ Component: (await import("./ringing/Calls.tsx")).Calls })),
      page("/claim/:secret", claim),
      page("/match", match),
      page("/recordings", recordings),
      page("/settings/:section?", settings),
      { path: "/account", element: <Navigate to="/settings" replace /> },
      page("/review/*", review),
      { path: "*", element: <NotFound /> },
    ],
  },
]);

// A page taken out of the browser's cache left its call when it went in.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());

/** What every page shows of the one who looks at it. */
const ENDS = { header: <AccountMenu />, banner: <Banners /> };

/** A page waits this long to be told whose place it is of, in milliseconds; then it begins as Parlor's own. */
const PATIENCE_MS = 2_000;
const told = clusterOf(parlor.api).then(
  (place) => {
    setPlace(place);
    parlor.inbox.offersDirect = place.features.directMessages ?? true;
    wear(place.theme);
  },
  () => undefined,
);
await Promise.race([told, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <SessionProvider>
          <Tooltip.Provider delayDuration={400}>
            <PageEnds value={ENDS}>
              <RouterProvider router={router} />
            </PageEnds>
          </Tooltip.Provider>
        </SessionProvider>
      </QueryClientProvider>
    </StrictMode>,
  );
}
