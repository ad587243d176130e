//! Residual networks (He, Zhang, Ren & Sun, arXiv:1512.03385): ResNet-18 and -34 with projection shortcuts, and ResNet-20,
//! -56 and -110 of section 4.2 with parameter-free shortcuts.

use crate::Group;
use crate::family::{Family, Member};
use crate::initialization::Initializer;
use crate::layers::Convolution;
use crate::layers::residual::{Frame, RESNET_18, RESNET_34, Residual, Stages, StemKind, stem_doc};

/// A residual network of convolutions.
pub type ResNet = Residual<Convolution, Convolution>;

/// What tells members apart.
#[derive(Debug)]
pub struct Plan {
    stages: Stages,
    /// Whether it is made for images of ImageNet, so that the front can be chosen.
    stems: bool,
}

const MEMBERS: &[Member<Plan>] = &[
    Member {
        name: "resnet18",
        doc: "ResNet-18 (He et al., arXiv:1512.03385).",
        plan: Plan {
            stages: RESNET_18,
            stems: true,
        },
    },
    Member {
        name: "resnet34",
        doc: "ResNet-34.",
        plan: Plan {
            stages: RESNET_34,
            stems: true,
        },
    },
    Member {
        name: "resnet20",
        doc: "ResNet-20 for CIFAR (He et al., section 4.2).",
        plan: cifar(&[(3, 16), (3, 32), (3, 64)]),
    },
    Member {
        name: "resnet56",
        doc: "ResNet-56 for CIFAR.",
        plan: cifar(&[(9, 16), (9, 32), (9, 64)]),
    },
    Member {
        name: "resnet110",
        doc: "ResNet-110 for CIFAR.",
        plan: cifar(&[(18, 16), (18, 32), (18, 64)]),
    },
];

const fn cifar(blocks: &'static [(usize, usize)]) -> Plan {
    let projects = false;
    Plan {
        stages: Stages { blocks, projects },
        stems: false,
    }
}

fn with_stems() -> impl Iterator<Item = &'static str> {
    MEMBERS
        .iter()
        .filter(|member| member.plan.stems)
        .map(|member| member.name)
}

scn_keys::table! {
    /// The keys of residual networks.
    #[derive(Copy)]
    pub struct ResNetConfig {
        #[doc = stem_doc!()]
        pub stem: Option<StemKind> = of_kinds(with_stems(), Some(StemKind::Cifar)),
    }
}

impl Family for ResNet {
    type Plan = Plan;
    type Keys = ResNetConfig;

    const MEMBERS: &'static [Member<Plan>] = MEMBERS;
    const GROUPS: &'static [Group] = &[Group::Weight, Group::Classifier, Group::Bias, Group::Norm];

    fn build(plan: &Plan, keys: &ResNetConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        let frame = Frame {
            stages: plan.stages,
            stem: keys.stem.unwrap_or(StemKind::Cifar),
            shortcuts: true,
        };
        Residual::new(&frame, &(), &(), image, classes, init)
    }
}
