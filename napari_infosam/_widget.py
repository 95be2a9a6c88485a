"""The dock widget "Annotate & adapt": builds everything, wires it, and takes it down again. Nothing else."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_infosam.controllers.adapt import AdaptController
from napari_infosam.controllers.annotate import AnnotateController
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.controllers.engine import Engine
from napari_infosam.controllers.errors import tell
from napari_infosam.controllers.export import ExportController
from napari_infosam.controllers.find_all import FindAllController
from napari_infosam.controllers.images import ImageController
from napari_infosam.controllers.import_labels import ImportController
from napari_infosam.controllers.library import LibraryController
from napari_infosam.controllers.panel import PanelController, connect_tools
from napari_infosam.controllers.prompting import PromptController
from napari_infosam.controllers.segment import SegmentController
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.adapt_run import Run
from napari_infosam.models.adapt_state import AdaptState
from napari_infosam.models.history import History
from napari_infosam.models.session import Session
from napari_infosam.overlays import warm_up
from napari_infosam.views.adapt_view import AdaptView
from napari_infosam.views.canvas_input import CanvasInput
from napari_infosam.views.model_view import ModelView
from napari_infosam.views.objects_view import ObjectsView
from napari_infosam.views.prompt_view import PromptView
from napari_infosam.views.section import Section
from napari_infosam.workers import Worker

if TYPE_CHECKING:
    from napari.viewer import Viewer

WIDTH = 350
START_MS = 200  # the panel is drawn before torch is imported, which holds the window up for a moment


class Annotator:
    """Everything behind the panel of one viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self.session = Session()
        self.model_view, self.prompt_view, self.objects_view = ModelView(), PromptView(), ObjectsView()
        self._history = History()
        self._model_worker, self._project_worker = Worker("infosam-model"), Worker("infosam-project")
        self._layers = ViewerLayers(viewer)
        self._canvas = CanvasInput(viewer, viewer.window._qt_viewer.canvas.native)
        self._editor = LabelEditor(self.session, self._layers)
        self.library = LibraryController(self.session, self.model_view)
        engine = Engine()
        self._segment = SegmentController(self.session, self._model_worker, engine)
        self._images = ImageController(self.session, self._layers, self._project_worker, self._editor)
        prompts = PromptController(self.session, self._layers, self._canvas, self._editor, self._history)
        self._annotate = AnnotateController(self.session, self._layers, self._editor, self._history, prompts)
        self._panel = PanelController(
            self.session, self._history, self._editor, self.prompt_view, self.objects_view
        )
        connect_tools(self.prompt_view, self.objects_view, self._canvas, prompts, self._annotate)
        self.adapt_state, self.adapt_view = AdaptState(), AdaptView()
        self._adapt = AdaptController(
            self.session, self.adapt_state, self.adapt_view, self._editor.record_strokes
        )
        self._export = ExportController(
            self.session, self.model_view, self._project_worker, self._editor.record_strokes
        )
        self._import = ImportController(
            self.session,
            self._layers,
            self.model_view.import_button,
            self._project_worker,
            self._images,
            self._history,
        )
        self._find_all = FindAllController(
            self.session, self.objects_view, self._model_worker, engine, self._editor, self._import
        )
        self._closed = False

    def start(self) -> None:
        """Open the project, look at the viewer and load the model, once the panel is on the screen."""
        if not self._closed:
            self._project_worker.submit(warm_up, lambda _: None, lambda error: tell(self.session, error))
            self.library.open_default_project()
            self._images.refresh()
            self._segment.load()

    def close(self) -> None:
        """Let go of the viewer and end what runs in the background; what is committed stays."""
        if self._closed:
            return
        self._closed = True
        for part in (
            self._adapt,
            self._find_all,
            self._import,
            self._panel,
            self._images,
            self._annotate,
            self._canvas,
            self._layers,
            self._model_worker,
            self._project_worker,
        ):
            with suppress(RuntimeError):  # at the end of the process, Qt objects may be gone before us
                part.close()
        if self.session.project is not None:
            self.session.project.close()


class AnnotateWidget(QScrollArea):
    """The panel: model, prompts and objects on top, adaptation below."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        # napari hands plugins a proxy whose layers are proxies too, new ones at each look: nothing that is
        # seen through it is ever the same object twice.
        self.annotator = annotator = Annotator(getattr(napari_viewer, "__wrapped__", napari_viewer))
        self.session = annotator.session
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        for section in (
            Section("Model and project", annotator.model_view),
            Section("Annotate", annotator.prompt_view),
            Section("Objects", annotator.objects_view),
            Section("Adapt", annotator.adapt_view),
        ):
            layout.addWidget(section)
        layout.addStretch(1)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(WIDTH)
        # napari before 0.9 and after it size docks by different rules; this one asks for all the height.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.destroyed.connect(annotator.close)
        annotator.adapt_state.events.run.connect(self._show_adapt)
        QTimer.singleShot(START_MS, annotator.start)

    def _show_adapt(self, run: Run, before: Run) -> None:
        """Scroll to the Adapt section when a run begins, where the user asked for it, and when it ends.

        While the user annotates, the tools stay where they are, and a line of text tells of the end.
        """
        if run.is_active == before.is_active or run.phase == "idle":
            return
        if self.session.annotating and not run.is_active:
            self.session.say("Training has ended: what came of it is below, under Adapt.")
        else:
            QTimer.singleShot(START_MS, lambda: self.ensureWidgetVisible(self.annotator.adapt_view, 0, 0))
