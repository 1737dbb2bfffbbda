import "./app.css";
import "./i18n.ts";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { Tooltip } from "radix-ui";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createBrowserRouter } from "react-router";
import { RouterProvider } from "react-router/dom";
import { Home } from "./pages/Home.tsx";
import { Broken, NotFound } from "./pages/NotFound.tsx";
import { SessionProvider } from "./session.tsx";
import { Spinner } from "./ui.tsx";

const queries = new QueryClient({
  defaultOptions: { queries: { retry: 1, staleTime: 5_000 } },
});

// The call's code is fetched when a room is opened, not on the way in.
const room = async () => ({ Component: (await import("./pages/RoomPage.tsx")).RoomPage });
const claim = async () => ({ Component: (await import("./pages/Claim.tsx")).Claim });
const match = async () => ({ Component: (await import("./match/MatchPage.tsx")).MatchPage });
const recordings = async () => ({
  Component: (await import("./recordings/RecordingsPage.tsx")).RecordingsPage,
});
const review = async () => ({ Component: (await import("./review/ReviewPage.tsx")).ReviewPage });

const router = createBrowserRouter([
  { path: "/", element: <Home />, errorElement: <Broken /> },
  { path: "/r/:roomId", lazy: room, hydrateFallbackElement: <Spinner />, errorElement: <Broken /> },
  { path: "/claim/:secret", lazy: claim, hydrateFallbackElement: <Spinner />, errorElement: <Broken /> },
  { path: "/match", lazy: match, hydrateFallbackElement: <Spinner />, errorElement: <Broken /> },
  { path: "/recordings", lazy: recordings, hydrateFallbackElement: <Spinner />, errorElement: <Broken /> },
  { path: "/review/*", lazy: review, hydrateFallbackElement: <Spinner />, errorElement: <Broken /> },
  { path: "*", element: <NotFound /> },
]);

// A page taken out of the browser's cache left its call when it went in.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <SessionProvider>
          <Tooltip.Provider delayDuration={400}>
            <RouterProvider router={router} />
          </Tooltip.Provider>
        </SessionProvider>
      </QueryClientProvider>
    </StrictMode>,
  );
}
