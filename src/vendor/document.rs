//! The members of a vendor response that are used, collected in one pass.
//!
//! The last of several repeated members counts, as in `JSON.parse`. Two exceptions prevent expensive mistakes: two
//! different ids count as no id, and the larger of two costs counts.

use super::cost::Cost;
use super::json::{Container, Listener, Scalar};
use super::model_list::ModelList;
use super::vendor_id::IdMember;
use crate::constants::VENDOR_OUTPUTS_READ_MAX;
use crate::types::model::ModelId;

/// The used members of a response. `super::reply` builds predictions from them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    pub(super) job_id: IdMember,
    pub(super) id: IdMember,
    pub(super) file_id: IdMember,
    /// `Some` if there is a `status`. The inner value is its text, or `None` if it is not a string.
    pub(super) status: Option<Option<String>>,
    pub(super) cost: Cost,
    pub(super) output: Vec<String>,
    pub(super) output_urls: Vec<String>,
    pub(super) predict_time: Option<f64>,
    error: ErrorTexts,
    /// The list in `data`, or the whole response if it is a list.
    data: ModelList,
    models: ModelList,
    /// The open containers, from the root down to the first one whose content is not used.
    open: Vec<(Place, Container)>,
    /// Number of open containers inside that unused one.
    unused_depth: usize,
    /// The place of the next value, according to the member name just read.
    named: Place,
}

/// Flags for the members of `error` that are strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ErrorTexts {
    message: bool,
    code: bool,
    kind: bool,
}

/// A value's place in a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    Root,
    JobId,
    Id,
    FileId,
    Status,
    Cost,
    Output,
    OutputItem,
    OutputData,
    OutputUrls,
    OutputUrlsItem,
    Metrics,
    PredictTime,
    Error,
    ErrorMessage,
    ErrorCode,
    ErrorType,
    Models(List),
    Model(List),
    ModelId(List),
    ModelOwner(List),
    ModelProvider(List),
    ModelName(List),
    #[default]
    Unused,
}

/// One of the two lists that may hold the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Data,
    Models,
}

impl Place {
    /// Returns the place of a member of the object at this place.
    fn member(self, name: &str) -> Self {
        match (self, name) {
            (Self::Root, "job_id") => Self::JobId,
            (Self::Root, "id") => Self::Id,
            (Self::Root, "file_id") => Self::FileId,
            (Self::Root, "status") => Self::Status,
            (Self::Root, "credits_used") => Self::Cost,
            (Self::Root, "output") => Self::Output,
            (Self::Root, "output_data") => Self::OutputData,
            (Self::Root, "metrics") => Self::Metrics,
            (Self::Root, "error") => Self::Error,
            (Self::Root, "data") => Self::Models(List::Data),
            (Self::Root, "models") => Self::Models(List::Models),
            (Self::OutputData, "urls") => Self::OutputUrls,
            (Self::Metrics, "predict_time") => Self::PredictTime,
            (Self::Error, "message") => Self::ErrorMessage,
            (Self::Error, "code") => Self::ErrorCode,
            (Self::Error, "type") => Self::ErrorType,
            (Self::Model(list), "id") => Self::ModelId(list),
            (Self::Model(list), "owner") => Self::ModelOwner(list),
            (Self::Model(list), "provider") => Self::ModelProvider(list),
            (Self::Model(list), "name") => Self::ModelName(list),
            _ => Self::Unused,
        }
    }

    /// Returns the place of an item of the array at this place.
    const fn item(self) -> Self {
        match self {
            Self::Root => Self::Model(List::Data),
            Self::Models(list) => Self::Model(list),
            Self::Output => Self::OutputItem,
            Self::OutputUrls => Self::OutputUrlsItem,
            _ => Self::Unused,
        }
    }
}

impl Document {
    /// Returns whether this is the vendor's error envelope: an object `error` with a `message`, `code` or `type` that is
    /// a string (vendor-api 4).
    #[must_use]
    pub const fn is_error_envelope(&self) -> bool {
        self.error.message || self.error.code || self.error.kind
    }

    /// Reads the response to `GET /models`. The vendor documents no shape (vendor-api 2), so several are accepted:
    ///
    /// - a list, or an object with the list in `data` or `models`
    /// - entries that are names, objects with `id`, or objects with `owner` (or `provider`) and `name` (or `id`)
    ///
    /// Entries that cannot be read are left out. Returns `None` if no entry can be read, so that an unexpected response
    /// never hides every model.
    #[must_use]
    pub fn models(&self) -> Option<&[ModelId]> {
        let list = if self.data.is_list { &self.data } else { &self.models };
        (!list.models.is_empty()).then_some(&list.models)
    }

    fn list(&mut self, list: List) -> &mut ModelList {
        match list {
            List::Data => &mut self.data,
            List::Models => &mut self.models,
        }
    }

    /// Returns the place of the value that begins. Discards the value of an earlier member with the same name.
    fn begin(&mut self) -> Place {
        let place = match self.open.last() {
            None => Place::Root,
            Some((place, Container::Array)) => place.item(),
            Some((_, Container::Object)) => std::mem::take(&mut self.named),
        };
        match place {
            Place::Status => self.status = Some(None),
            Place::Output => self.output.clear(),
            Place::OutputData | Place::OutputUrls => self.output_urls.clear(),
            Place::Metrics | Place::PredictTime => self.predict_time = None,
            Place::Error => self.error = ErrorTexts::default(),
            Place::Models(list) => *self.list(list) = ModelList::default(),
            Place::Model(list) => self.list(list).begin_entry(),
            _ => {}
        }
        place
    }

    fn set_id(&mut self, place: Place, value: Scalar<'_>) {
        let member = match place {
            Place::JobId => &mut self.job_id,
            Place::Id => &mut self.id,
            Place::FileId => &mut self.file_id,
            _ => return,
        };
        member.set(value);
    }
}

impl Listener for Document {
    fn member(&mut self, name: Option<&str>) {
        if self.unused_depth == 0
            && let (Some((place, _)), Some(name)) = (self.open.last(), name)
        {
            self.named = place.member(name);
        }
    }

    fn open(&mut self, container: Container) {
        if self.unused_depth > 0 {
            self.unused_depth = self.unused_depth.saturating_add(1);
            return;
        }
        let place = self.begin();
        match place {
            Place::Unused => self.unused_depth = 1,
            Place::Cost => self.cost = Cost::Unreadable,
            Place::JobId | Place::Id | Place::FileId => self.set_id(place, Scalar::Null),
            Place::Root if container == Container::Array => self.data.is_list = true,
            Place::Models(list) => self.list(list).is_list = container == Container::Array,
            _ => {}
        }
        if place != Place::Unused {
            self.open.push((place, container));
        }
    }

    fn close(&mut self) {
        if self.unused_depth > 0 {
            self.unused_depth = self.unused_depth.saturating_sub(1);
        } else if let Some((Place::Model(list), _)) = self.open.pop() {
            self.list(list).end_entry();
        }
    }

    fn value(&mut self, value: Scalar<'_>) {
        if self.unused_depth > 0 {
            return;
        }
        let place = self.begin();
        let text = match value {
            Scalar::Text(text) => text,
            _ => None,
        };
        let is_text = matches!(value, Scalar::Text(_));
        match place {
            Place::JobId | Place::Id | Place::FileId => self.set_id(place, value),
            Place::Status => self.status = Some(text.map(str::to_owned)),
            Place::Cost => self.cost = self.cost.merge(Cost::read(value)),
            Place::Output | Place::OutputItem => keep_output(&mut self.output, text),
            Place::OutputUrls | Place::OutputUrlsItem => keep_output(&mut self.output_urls, text),
            Place::PredictTime => self.predict_time = read_seconds(value),
            Place::ErrorMessage => self.error.message = is_text,
            Place::ErrorCode => self.error.code = is_text,
            Place::ErrorType => self.error.kind = is_text,
            Place::Model(list) => self.list(list).push_name(text),
            Place::ModelId(list) => self.list(list).entry.id = text.map(str::to_owned),
            Place::ModelOwner(list) => self.list(list).entry.owner = text.map(str::to_owned),
            Place::ModelProvider(list) => self.list(list).entry.provider = text.map(str::to_owned),
            Place::ModelName(list) => self.list(list).entry.name = text.map(str::to_owned),
            Place::Root | Place::OutputData | Place::Metrics | Place::Error | Place::Models(_) | Place::Unused => {}
        }
    }
}

fn keep_output(outputs: &mut Vec<String>, text: Option<&str>) {
    if let Some(text) = text
        && outputs.len() < VENDOR_OUTPUTS_READ_MAX
    {
        outputs.push(text.to_owned());
    }
}

fn read_seconds(value: Scalar<'_>) -> Option<f64> {
    let Scalar::Number(Some(text)) = value else { return None };
    text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
}
